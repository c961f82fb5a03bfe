import { BugError, SystemError } from '../../base/errors.ts';
import type {
  ConsoleSize,
  ExitStatus,
  LogPosition,
  ProcessIdentity,
  ShimState,
} from './contract.ts';

/** Version this side speaks; see `native/shim/README.md` for the layout of everything here. */
export const PROTOCOL_VERSION = 1;
/** Longest payload of a request. */
export const MAX_REQUEST_BYTES = 16_384;
/** Longest payload of a reply. */
export const MAX_REPLY_BYTES = 65_536;

const HEADER_BYTES = 8;
const MAGIC = Buffer.from('GSHM', 'latin1');
const WANTS_OOM = 1;

const REQUEST_TYPE = {
  hello: 1,
  state: 2,
  attach: 3,
  stdin: 4,
  closeStdin: 5,
  resize: 6,
  signal: 7,
  start: 8,
  execStart: 9,
  wait: 10,
  waitGone: 11,
  shutdown: 12,
  log: 13,
  release: 14,
} as const;

const LOG_ACTION = { reopen: 1, rotate: 2, truncate: 3 } as const;

/** Streams a session wants. */
export interface StreamFlags {
  readonly wantsStdin: boolean;
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
}

/** A request; `id` empty = the container, else an exec id. */
export type Request =
  | { readonly type: 'hello'; readonly version: number; readonly wantsOom: boolean }
  | { readonly type: 'state' }
  | {
      readonly type: 'attach';
      readonly id: string;
      readonly streams: StreamFlags;
      readonly replays: boolean;
    }
  | { readonly type: 'stdin'; readonly data: Uint8Array }
  | { readonly type: 'closeStdin' }
  | { readonly type: 'resize'; readonly id: string; readonly size: ConsoleSize }
  | { readonly type: 'signal'; readonly id: string; readonly signalNumber: number }
  | { readonly type: 'start' }
  | {
      readonly type: 'execStart';
      readonly id: string;
      readonly processPath: string;
      readonly streams: StreamFlags;
      readonly hasTty: boolean;
      readonly size: ConsoleSize | undefined;
    }
  | { readonly type: 'wait'; readonly id: string }
  | { readonly type: 'waitGone' }
  | { readonly type: 'shutdown' }
  | { readonly type: 'log'; readonly action: keyof typeof LOG_ACTION }
  | { readonly type: 'release' };

/** Why the shim refused. */
export type ErrorCode = 'protocol' | 'version' | 'not-found' | 'conflict' | 'system' | 'limit';

/** A started process. */
export interface Launched {
  readonly process: ProcessIdentity;
  readonly startedAtNs: bigint;
}

/** A decoded reply. Byte fields are views of what was received. */
export type Reply =
  | { readonly type: 'ok' }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'helloOk'; readonly version: number; readonly shimPid: number }
  | { readonly type: 'stateOk'; readonly state: ShimState }
  | { readonly type: 'attached'; readonly position: LogPosition | undefined }
  | { readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }
  | { readonly type: 'lagged'; readonly position: LogPosition }
  | { readonly type: 'exit'; readonly id: string; readonly status: ExitStatus }
  | ({ readonly type: 'launched' } & Launched)
  | {
      readonly type: 'startFailed';
      readonly exitCode: number;
      readonly log: string;
      readonly text: string;
    }
  | { readonly type: 'gone' }
  | { readonly type: 'oom'; readonly kills: number };

/** A reply with the tag of its request; 0 when nobody asked. */
export interface ReplyFrame {
  readonly tag: number;
  readonly reply: Reply;
}

function streamBits(streams: StreamFlags): number {
  return (
    (streams.wantsStdin ? 1 : 0) | (streams.wantsStdout ? 2 : 0) | (streams.wantsStderr ? 4 : 0)
  );
}

function name(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const size = Buffer.alloc(2);
  size.writeUInt16LE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function numbers16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, index) => bytes.writeUInt16LE(value, 2 * index));
  return bytes;
}

function execPayload(request: Request & { type: 'execStart' }): readonly Uint8Array[] {
  const bits = streamBits(request.streams) | (request.hasTty ? 8 : 0);
  return [
    Buffer.from([bits, 0]),
    numbers16(request.size?.columns ?? 0, request.size?.rows ?? 0),
    name(request.id),
    name(request.processPath),
  ];
}

function payloadOf(request: Request): readonly Uint8Array[] {
  switch (request.type) {
    case 'hello':
      return [MAGIC, numbers16(request.version, request.wantsOom ? WANTS_OOM : 0)];
    case 'attach': {
      const bits = streamBits(request.streams) | (request.replays ? 8 : 0);
      return [Buffer.from([bits, 0]), name(request.id)];
    }
    case 'stdin':
      return [request.data];
    case 'resize':
      return [numbers16(request.size.columns, request.size.rows), name(request.id)];
    case 'signal':
      return [numbers16(request.signalNumber, 0), name(request.id)];
    case 'execStart':
      return execPayload(request);
    case 'wait':
      return [name(request.id)];
    case 'log':
      return [Buffer.from([LOG_ACTION[request.action]])];
    case 'state':
    case 'closeStdin':
    case 'start':
    case 'waitGone':
    case 'shutdown':
    case 'release':
      break;
  }
  return [];
}

/** One request as bytes. @throws BugError  longer than a request may be */
export function encodeRequest(tag: number, request: Request): Uint8Array {
  const payload = payloadOf(request);
  const size = payload.reduce((sum, part) => sum + part.length, 0);
  if (size > MAX_REQUEST_BYTES) {
    throw new BugError(`shim request ${request.type} of ${size} bytes is too long`);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(size, 0);
  header.writeUInt16LE(REQUEST_TYPE[request.type], 4);
  header.writeUInt16LE(tag, 6);
  return Buffer.concat([header, ...payload]);
}

const ERROR_CODES: readonly ErrorCode[] = [
  'system',
  'protocol',
  'version',
  'not-found',
  'conflict',
  'system',
  'limit',
];
const STATUSES: readonly ShimState['status'][] = ['starting', 'created', 'running', 'exited'];

/** Takes fields off the front of a payload. */
class PayloadReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(size: number): Buffer {
    const from = this.#at;
    if (from + size > this.#bytes.length) {
      throw new SystemError('the shim sent a frame that is too short');
    }
    this.#at += size;
    return this.#bytes.subarray(from, from + size);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  u64(): bigint {
    return this.take(8).readBigUInt64LE();
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at);
  }

  name(): string {
    return this.take(this.u16()).toString('utf8');
  }

  process(): Launched {
    const pid = this.u32();
    this.u32();
    const startTicks = this.u64();
    return { process: { pid, startTicks }, startedAtNs: this.u64() };
  }

  position(): LogPosition {
    const generation = this.u32();
    this.u32();
    const inode = this.u64();
    const offsetBytes = Number(this.u64());
    return {
      generation,
      inode,
      offsetBytes,
      skipBytes: { stdout: this.u32(), stderr: this.u32() },
    };
  }

  exit(): ExitStatus {
    const exitCode = this.u32();
    const signal = this.u32();
    const isOomKilled = this.u32() !== 0;
    const pid = this.u32();
    const startedAtNs = this.u64();
    const finishedAtNs = this.u64();
    return {
      exitCode,
      signal,
      isOomKilled,
      pid,
      startedAtNs,
      finishedAtNs,
      lostLogBytes: this.u64(),
    };
  }
}

function decodeState(in_: PayloadReader): ShimState {
  const status = STATUSES[in_.u8()];
  const hasLog = in_.u8() !== 0;
  const hasExit = in_.u8() !== 0;
  in_.u8();
  const shimPid = in_.u32();
  const launched = in_.process();
  const log = in_.position();
  const lostLogBytes = in_.u64();
  const oomKills = in_.u32();
  in_.u32();
  const exit = in_.exit();
  const containerId = in_.name();
  if (status === undefined) {
    throw new SystemError('the shim sent an unknown status');
  }
  return {
    status,
    shimPid,
    containerId,
    ...launched,
    lostLogBytes,
    oomKills,
    ...(hasLog ? { log } : {}),
    ...(hasExit ? { exit } : {}),
  };
}

function decodeStartFailed(in_: PayloadReader): Reply {
  const exitCode = in_.u32();
  const logSize = in_.u16();
  const textSize = in_.u16();
  const log = in_.take(logSize).toString('utf8');
  return { type: 'startFailed', exitCode, log, text: in_.take(textSize).toString('utf8') };
}

function decodeHello(in_: PayloadReader): Reply {
  if (!in_.take(4).equals(MAGIC)) {
    throw new SystemError('what answers is not a shim');
  }
  const version = in_.u16();
  in_.u16();
  return { type: 'helloOk', version, shimPid: in_.u32() };
}

function decodeAttached(in_: PayloadReader): Reply {
  const hasLog = in_.u32() !== 0;
  const position = in_.position();
  return { type: 'attached', position: hasLog ? position : undefined };
}

function decodeExit(in_: PayloadReader): Reply {
  const status = in_.exit();
  return { type: 'exit', id: in_.name(), status };
}

const DECODERS: Readonly<Record<number, (in_: PayloadReader) => Reply>> = {
  128: () => ({ type: 'ok' }),
  129: (in_) => ({
    type: 'error',
    code: ERROR_CODES[in_.u16()] ?? 'system',
    message: in_.rest().toString('utf8'),
  }),
  130: decodeHello,
  131: (in_) => ({ type: 'stateOk', state: decodeState(in_) }),
  132: decodeAttached,
  133: (in_) => ({ type: 'output', stream: 'stdout', data: in_.rest() }),
  134: (in_) => ({ type: 'output', stream: 'stderr', data: in_.rest() }),
  135: (in_) => ({ type: 'lagged', position: in_.position() }),
  136: decodeExit,
  137: (in_) => ({ type: 'launched', ...in_.process() }),
  138: decodeStartFailed,
  139: () => ({ type: 'gone' }),
  140: (in_) => ({ type: 'oom', kills: in_.u32() }),
};

/**
 * Cuts a byte stream into replies. Keeps at most one begun frame.
 *
 * @throws SystemError  (from `push`) the bytes are not of a shim; the connection is of no more use
 */
export class ReplyReader {
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** Adds received bytes and returns the frames that are whole now. */
  push(chunk: Uint8Array): ReplyFrame[] {
    this.#held.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#heldBytes += chunk.byteLength;
    const frames: ReplyFrame[] = [];
    if (this.#heldBytes < this.#neededBytes()) {
      return frames;
    }
    let bytes =
      this.#held.length === 1 ? (this.#held[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#held);
    while (bytes.length >= HEADER_BYTES) {
      const size = bytes.readUInt32LE(0);
      const type = bytes.readUInt16LE(4);
      const decode = DECODERS[type];
      if (size > MAX_REPLY_BYTES || decode === undefined) {
        throw new SystemError(`the shim sent an unknown frame (type ${type}, ${size} bytes)`);
      }
      if (bytes.length < HEADER_BYTES + size) {
        break;
      }
      const payload = new PayloadReader(bytes.subarray(HEADER_BYTES, HEADER_BYTES + size));
      frames.push({ tag: bytes.readUInt16LE(6), reply: decode(payload) });
      bytes = bytes.subarray(HEADER_BYTES + size);
    }
    this.#held = bytes.length === 0 ? [] : [bytes];
    this.#heldBytes = bytes.length;
    return frames;
  }

  /** Bytes from which on a frame may be whole, so that a large one is not joined again for each chunk. */
  #neededBytes(): number {
    const first = this.#held[0];
    const size = first === undefined || first.length < HEADER_BYTES ? 0 : first.readUInt32LE(0);
    return size > MAX_REPLY_BYTES ? HEADER_BYTES : HEADER_BYTES + size;
  }
}
