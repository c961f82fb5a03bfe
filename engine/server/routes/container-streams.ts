import { encodeFrame, FRAME_HEADER_BYTES, writeFrameHeader } from '../../api/stream-framing.ts';
import { formatTimeNs, parseUnixTimeNs } from '../../api/time.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError, isAbortError, messageOf } from '../../base/errors.ts';
import type { WaitCondition } from '../../containers/contract.ts';
import type { LogEntry } from '../../logs/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { acceptWebSocket, checkWebSocket } from '../websocket.ts';
import { encodeFramed, encodeRaw, MULTIPLEXED_STREAM, RAW_STREAM, relay } from './streaming.ts';

async function attach(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const takesInput = query.flag('stdin');
  const session = await services.containers.attach(exchange.param('name'), {
    wantsLogs: query.flag('logs'),
    wantsStream: query.flag('stream'),
    wantsStdin: takesInput,
    wantsStdout: query.flag('stdout'),
    wantsStderr: query.flag('stderr'),
    detachKeys: query.find('detachKeys'),
    signal: exchange.signal,
  });
  const isFramed = !session.hasTty;
  const type = isFramed && !isBefore(exchange.version, '1.42') ? MULTIPLEXED_STREAM : RAW_STREAM;
  await relay(session, exchange.hijack(type), {
    takesInput,
    encode: isFramed ? encodeFramed : encodeRaw,
  });
}

async function attachWebSocket(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const hasChoice = !isBefore(version, '1.42');
  const key = checkWebSocket(exchange);
  const takesInput = hasChoice ? query.flag('stdin') : true;
  const session = await services.containers.attach(exchange.param('name'), {
    wantsLogs: query.flag('logs'),
    wantsStream: query.flag('stream'),
    wantsStdin: takesInput,
    wantsStdout: hasChoice ? query.flag('stdout') : true,
    wantsStderr: hasChoice ? query.flag('stderr') : true,
    detachKeys: query.find('detachKeys'),
    signal: exchange.signal,
  });
  const socket = acceptWebSocket(exchange, { key, isBinary: !isBefore(version, '1.28') });
  await relay(session, socket, { takesInput, encode: encodeRaw });
}

interface LogFormat {
  readonly isFramed: boolean;
  readonly hasTimestamps: boolean;
  readonly hasDetails: boolean;
}

function queryEscape(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function prefixOf(entry: LogEntry, format: LogFormat): string {
  const time = format.hasTimestamps ? `${formatTimeNs(entry.timeNs)} ` : '';
  if (!format.hasDetails) {
    return time;
  }
  const pairs = Object.entries(entry.attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`);
  return `${time}${pairs.join(',')} `;
}

/** One piece of answer for a batch: a single allocation, whatever the number of lines. */
function encodeBatch(entries: readonly LogEntry[], format: LogFormat): Uint8Array {
  const headerBytes = format.isFramed ? FRAME_HEADER_BYTES : 0;
  const prefixes = entries.map((entry) => prefixOf(entry, format));
  const size = entries.reduce(
    (sum, entry, i) =>
      sum + headerBytes + Buffer.byteLength(prefixes[i] ?? '') + entry.data.byteLength,
    0,
  );
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [i, entry] of entries.entries()) {
    const prefix = prefixes[i] ?? '';
    const start = at + headerBytes;
    const end = start + bytes.write(prefix, start) + entry.data.byteLength;
    bytes.set(entry.data, end - entry.data.byteLength);
    if (format.isFramed) {
      writeFrameHeader(bytes, at, { stream: entry.stream, length: end - start });
    }
    at = end;
  }
  return bytes;
}

/** `all`, or the number; what is no number means all. */
function tailOf(text: string): number | 'all' {
  return /^\d{1,9}$/.test(text) ? Number(text) : 'all';
}

async function logs(exchange: Exchange, services: Services): Promise<void> {
  const { query, signal } = exchange;
  const wantsStdout = query.flag('stdout');
  const wantsStderr = query.flag('stderr');
  if (!wantsStdout && !wantsStderr) {
    throw new InvalidParameterError('Bad parameters: you must choose at least one stream');
  }
  const { hasTty, batches } = await services.containers.logs(exchange.param('name'), {
    wantsStdout,
    wantsStderr,
    isFollowing: query.flag('follow'),
    tail: tailOf(query.text('tail')),
    sinceNs: parseUnixTimeNs(query.text('since'), 'since'),
    untilNs: parseUnixTimeNs(query.text('until'), 'until'),
    signal,
  });
  const isFramed = !hasTty;
  const format = {
    isFramed,
    hasTimestamps: query.flag('timestamps'),
    hasDetails: query.flag('details'),
  };
  const stream = exchange.stream(
    isFramed && !isBefore(exchange.version, '1.42') ? MULTIPLEXED_STREAM : RAW_STREAM,
  );
  try {
    for await (const batch of batches) {
      await stream.write(encodeBatch(batch, format));
    }
  } catch (error) {
    if (isAbortError(error) || exchange.isClientGone) {
      throw error;
    }
    exchange.log.warn('log reading failed', { path: exchange.path, error });
    const text = Buffer.from(`Error grabbing logs: ${messageOf(error)}\n`);
    await stream.write(isFramed ? encodeFrame('system', text) : text);
  }
  stream.end();
}

async function stats(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const isStreaming = query.flag('stream', true);
  const samples = await services.containers.stats(exchange.param('name'), {
    isStreaming,
    isOneShot: !isBefore(exchange.version, '1.41') && query.flag('one-shot'),
    signal: exchange.signal,
  });
  const stream = exchange.stream('application/json');
  for await (const sample of samples) {
    await stream.writeJson(sample);
  }
  stream.end();
}

const WAIT_CONDITIONS: readonly string[] = ['not-running', 'next-exit', 'removed'];

function waitCondition(exchange: Exchange): WaitCondition {
  const asked = isBefore(exchange.version, '1.30') ? '' : exchange.query.text('condition');
  if (asked !== '' && !WAIT_CONDITIONS.includes(asked)) {
    throw new InvalidParameterError(`invalid condition: ${JSON.stringify(asked)}`);
  }
  return asked === '' ? 'not-running' : (asked as WaitCondition);
}

async function wait(exchange: Exchange, services: Services): Promise<void> {
  const condition = waitCondition(exchange);
  const { result } = await services.containers.wait(exchange.param('name'), {
    condition,
    signal: exchange.signal,
  });
  if (isBefore(exchange.version, '1.30')) {
    exchange.json(200, { StatusCode: (await result).statusCode });
    return;
  }
  // The client starts the container only when it knows that the wait is registered.
  const stream = exchange.stream('application/json');
  const { statusCode, error } = await result;
  const isSilent =
    error !== undefined && condition === 'removed' && isBefore(exchange.version, '1.34');
  if (!isSilent) {
    await stream.writeJson({
      StatusCode: statusCode,
      ...(error === undefined ? {} : { Error: { Message: error } }),
    });
  }
  stream.end();
}

/** Containers: everything that goes on for a while or takes over the connection. */
export function containerStreamRoutes(services: Services): Route[] {
  const { containers } = services;
  return [
    route('GET /containers/{name}/logs', (exchange) => logs(exchange, services)),
    route('GET /containers/{name}/stats', (exchange) => stats(exchange, services)),
    route('GET /containers/{name}/attach/ws', (exchange) => attachWebSocket(exchange, services), {
      isHijack: true,
    }),
    route('GET /containers/{name}/export', async (exchange) => {
      const tar = await containers.export(exchange.param('name'), { signal: exchange.signal });
      await exchange.pipe('application/octet-stream', tar);
    }),
    route('POST /containers/{name}/attach', (exchange) => attach(exchange, services), {
      isHijack: true,
    }),
    route('POST /containers/{name}/wait', (exchange) => wait(exchange, services)),
  ];
}
