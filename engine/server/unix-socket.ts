import { chmod, chown, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { errnoOf, InvalidParameterError, isMissing, SystemError } from '../base/errors.ts';

/** Owner and group may connect, nobody else. */
const SOCKET_MODE = 0o660;

/** True when somebody accepts connections there. */
async function answers(path: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (errnoOf(error) === 'ECONNREFUSED' || isMissing(error)) {
        resolve(false);
      } else {
        reject(new SystemError(`cannot probe socket ${path}: ${error.message}`, { cause: error }));
      }
    });
  });
}

async function removeStale(path: string): Promise<void> {
  try {
    const stat = await lstat(path);
    if (!stat.isSocket()) {
      throw new InvalidParameterError(`${path} exists and is not a socket`);
    }
  } catch (error) {
    if (isMissing(error)) {
      return;
    }
    throw error;
  }
  if (await answers(path)) {
    throw new SystemError(`another engine is listening on ${path}`);
  }
  await rm(path, { force: true });
}

/** The default of the configuration. As with Docker, a machine without it is served to the owner's group only. */
const DEFAULT_GROUP = 'docker';

/** Number of a group, by name or number; undefined when there is none of that name. */
async function groupId(group: string): Promise<number | undefined> {
  if (/^\d+$/.test(group)) {
    return Number(group);
  }
  const line = (await readFile('/etc/group', 'utf8'))
    .split('\n')
    .find((entry) => entry.startsWith(`${group}:`));
  const id = line?.split(':')[2];
  return id === undefined ? undefined : Number(id);
}

/**
 * Makes `server` listen on a unix socket of mode 0660. A socket file that nobody answers on is replaced.
 *
 * @param group  name or number of the group that may connect; undefined = the process's own
 * @throws SystemError  another engine listens there; InvalidParameterError  the path is taken by something else, or no such group
 */
export async function listenUnix(
  server: Server,
  path: string,
  options: { readonly group?: string | undefined } = {},
): Promise<void> {
  const gid = options.group === undefined ? undefined : await groupId(options.group);
  if (options.group !== undefined && options.group !== DEFAULT_GROUP && gid === undefined) {
    throw new InvalidParameterError(`group ${options.group} not found`);
  }
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  await chmod(path, SOCKET_MODE);
  if (gid !== undefined) {
    await chown(path, -1, gid);
  }
}
