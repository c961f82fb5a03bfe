import { execCreateBodySchema, execStartBodySchema } from '../../api/types/container.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError, messageOf } from '../../base/errors.ts';
import type { Exchange } from '../exchange.ts';
import { answerOf } from '../http-status.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { encodeFramed, encodeRaw, MULTIPLEXED_STREAM, RAW_STREAM, relay } from './streaming.ts';
import { terminalSize } from './terminal-size.ts';

async function create(exchange: Exchange, services: Services): Promise<void> {
  const body = await exchange.readJson(execCreateBodySchema);
  if (body.Cmd === undefined || body.Cmd.length === 0) {
    throw new InvalidParameterError('No exec command specified');
  }
  const { id } = await services.containers.createExec(exchange.param('name'), {
    cmd: body.Cmd,
    env: body.Env ?? [],
    user: body.User ?? '',
    workingDir: body.WorkingDir ?? '',
    hasTty: body.Tty ?? false,
    isPrivileged: body.Privileged ?? false,
    attachStdin: body.AttachStdin ?? false,
    attachStdout: body.AttachStdout ?? false,
    attachStderr: body.AttachStderr ?? false,
    detachKeys: body.DetachKeys ?? '',
    consoleSize: isBefore(exchange.version, '1.42') ? undefined : body.ConsoleSize,
  });
  exchange.json(201, { Id: id });
}

async function start(exchange: Exchange, services: Services): Promise<void> {
  const id = exchange.param('name');
  const body = await exchange.readJson(execStartBodySchema);
  services.containers.assertExecReady(id);
  const hasTty = body.Tty ?? false;
  const hasSize = hasTty && !isBefore(exchange.version, '1.42');
  const options = {
    isDetached: body.Detach ?? false,
    consoleSize: hasSize ? body.ConsoleSize : undefined,
  };
  if (options.isDetached) {
    await services.containers.startExec(id, options);
    exchange.empty(200);
    return;
  }
  const isMultiplexed = !hasTty && !isBefore(exchange.version, '1.42');
  const encode = hasTty ? encodeRaw : encodeFramed;
  // The answer goes out before the process starts: clients wait for it before they send anything.
  const connection = exchange.hijack(isMultiplexed ? MULTIPLEXED_STREAM : RAW_STREAM);
  try {
    const session = await services.containers.startExec(id, {
      ...options,
      signal: connection.signal,
    });
    if (session !== undefined) {
      await relay(session, connection, { takesInput: true, encode });
    }
    connection.end();
  } catch (error) {
    if (!answerOf(error).isClassified && !connection.signal.aborted) {
      exchange.log.error('unforeseen error', { path: exchange.path, error });
    }
    const data = Buffer.from(`${messageOf(error)}\r\n`);
    await connection.write(encode({ stream: 'stdout', data }));
    connection.end();
  }
}

/** Processes started in running containers. */
export function execRoutes(services: Services): Route[] {
  return [
    route('POST /containers/{name}/exec', (exchange) => create(exchange, services)),
    route('POST /exec/{name}/start', (exchange) => start(exchange, services), { isHijack: true }),
    route('POST /exec/{name}/resize', async (exchange) => {
      await services.containers.resizeExec(exchange.param('name'), terminalSize(exchange.query));
      exchange.empty(200);
    }),
    route('GET /exec/{name}/json', async (exchange) => {
      exchange.json(200, await services.containers.inspectExec(exchange.param('name')));
    }),
  ];
}
