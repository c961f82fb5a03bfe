import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { SystemError } from '../base/errors.ts';
import { run } from '../base/node/run.ts';

/** A stuck server must not hold up the engine for ever. */
const MOUNT_TIMEOUT_MS = 90_000;

/** Mount points at or below `path`, innermost last. */
export async function mountsBelow(path: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replaceAll(/\\(\d{3})/g, (_all, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
    )
    .filter((point) => point === path || point.startsWith(`${path}/`));
}

/** The kernel takes numbers only: a host's name in `addr=` is looked up. */
async function resolveAddress(options: string): Promise<string> {
  const host = /(?:^|,)addr=([^,]+)/.exec(options)?.[1];
  if (host === undefined || isIP(host) !== 0) {
    return options;
  }
  const { address } = await lookup(host).catch((cause: unknown) => {
    throw new SystemError(`error resolving passed in network volume address: ${host}`, { cause });
  });
  return options.replace(`addr=${host}`, `addr=${address}`);
}

/**
 * Mounts by the volume's options, as the bare system call would.
 *
 * @throws SystemError  what `mount` said, without passwords
 */
export async function mountVolume(
  path: string,
  options: Readonly<Record<string, string>>,
): Promise<void> {
  const { type = '', device = '', o = '' } = options;
  const isRemote = type === 'nfs' || type === 'cifs';
  const flags = isRemote ? await resolveAddress(o) : o;
  const args = [
    '-i',
    '-n',
    ...(type === '' ? [] : ['-t', type]),
    ...(flags === '' ? [] : ['-o', flags]),
    '--',
    device,
    path,
  ];
  const result = await run('mount', args, { timeoutMs: MOUNT_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    const said = result.stderr.trim().replaceAll(/password=[^,\s]*/g, 'password=********');
    throw new SystemError(`failed to mount local volume: mount ${device}:${path}: ${said}`);
  }
}

/** Unmounts everything at `path`; a no-op when nothing is. @throws SystemError  still busy */
export async function unmountVolume(path: string): Promise<void> {
  for (const point of (await mountsBelow(path)).toReversed()) {
    const result = await run('umount', ['-i', '-n', '--', point]);
    if (result.exitCode !== 0) {
      throw new SystemError(`cannot unmount volume: ${result.stderr.trim()}`);
    }
  }
}
