import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { InvalidParameterError } from '../base/errors.ts';
import type { Exchange } from './exchange.ts';

/** The server's half of RFC 6455, as far as attach needs it: frames both ways, ping, close; no extensions. */

const HANDSHAKE_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Longest frame taken from a client: keystrokes and pastes. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const LINGER_MS = 10_000;
const CLOSE_NORMAL = 1000;
const CLOSE_PROTOCOL_ERROR = 1002;

/** A frame from the client, unmasked. */
interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Takes frames out of bytes that come split anywhere. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);

  /** @throws InvalidParameterError  not a client's frame, or too long */
  push(chunk: Uint8Array): Frame[] {
    this.#bytes =
      this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk]);
    const frames: Frame[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) {
      frames.push(frame);
    }
    return frames;
  }

  #take(): Frame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) {
      return undefined;
    }
    const first = bytes.readUInt8(0);
    const second = bytes.readUInt8(1);
    if ((first & 0x70) !== 0 || (second & 0x80) === 0) {
      throw new InvalidParameterError('not a masked WebSocket frame');
    }
    const short = second & 0x7f;
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
    const headerBytes = 2 + lengthBytes + 4;
    if (bytes.length < headerBytes) {
      return undefined;
    }
    const length =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    if (length > MAX_FRAME_BYTES) {
      throw new InvalidParameterError('WebSocket frame is too long');
    }
    if (bytes.length < headerBytes + length) {
      return undefined;
    }
    const mask = bytes.subarray(headerBytes - 4, headerBytes);
    const payload = Buffer.from(bytes.subarray(headerBytes, headerBytes + length));
    for (let i = 0; i < payload.length; i += 1) {
      payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
    }
    this.#bytes = bytes.subarray(headerBytes + length);
    return { opcode: first & 0x0f, payload };
  }
}

/** A server's frame: whole message, not masked. */
export function encodeServerFrame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.byteLength;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (length < 126) {
    head[1] = length;
  } else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** An open WebSocket. */
export class WebSocketConnection {
  readonly #socket: Duplex;
  readonly #dataOpcode: number;
  readonly #abort = new AbortController();

  constructor(socket: Duplex, options: { readonly isBinary: boolean }) {
    this.#socket = socket;
    this.#dataOpcode = options.isBinary ? OPCODE.binary : OPCODE.text;
    const onGone = (): void => this.#abort.abort();
    socket.on('error', onGone);
    socket.on('close', onGone);
  }

  /** Aborts when the connection is gone. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Payload of the client's messages until it closes. */
  async *input(): AsyncGenerator<Uint8Array, void, void> {
    const reader = new FrameReader();
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        for (const frame of reader.push(chunk as Buffer)) {
          if (frame.opcode === OPCODE.close) {
            this.end();
            return;
          }
          if (frame.opcode === OPCODE.ping) {
            await this.#send(OPCODE.pong, frame.payload);
          } else if (frame.opcode < OPCODE.close) {
            yield frame.payload;
          }
        }
      }
    } catch (error) {
      if (error instanceof InvalidParameterError) {
        this.end(CLOSE_PROTOCOL_ERROR);
      } else if (!this.#socket.destroyed) {
        throw error;
      }
    }
  }

  /** Sends one message; resolves when there is room for more. */
  async write(data: Uint8Array): Promise<void> {
    await this.#send(this.#dataOpcode, data);
  }

  /** Says goodbye and closes. */
  end(code: number = CLOSE_NORMAL): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      return;
    }
    const reason = Buffer.alloc(2);
    reason.writeUInt16BE(code);
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
    this.#socket.end(encodeServerFrame(OPCODE.close, reason));
    this.#socket.once('end', () => this.#socket.destroy());
    this.#socket.resume();
  }

  async #send(opcode: number, data: Uint8Array): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      return;
    }
    if (!this.#socket.write(encodeServerFrame(opcode, data))) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#socket.off('drain', done);
          this.#socket.off('close', done);
          resolve();
        };
        this.#socket.once('drain', done);
        this.#socket.once('close', done);
      });
    }
  }
}

/** Checks the handshake's headers. @throws InvalidParameterError  the request is no WebSocket handshake */
export function checkWebSocket(exchange: Exchange): string {
  const key = exchange.header('sec-websocket-key');
  const isUpgrade = exchange.header('upgrade')?.toLowerCase() === 'websocket';
  if (!isUpgrade || key === undefined || exchange.header('sec-websocket-version') !== '13') {
    throw new InvalidParameterError('bad request: not a WebSocket handshake');
  }
  return key;
}

/** Answers the handshake and takes over the connection. */
export function acceptWebSocket(
  exchange: Exchange,
  options: { readonly key: string; readonly isBinary: boolean },
): WebSocketConnection {
  const socket = exchange.takeUpgraded();
  if (socket === undefined) {
    throw new InvalidParameterError('bad request: not a WebSocket handshake');
  }
  const accept = createHash('sha1')
    .update(options.key + HANDSHAKE_GUID)
    .digest('base64');
  const protocol = exchange.header('sec-websocket-protocol')?.split(',')[0]?.trim();
  const isPlain = protocol !== undefined && /^[\w.-]+$/.test(protocol);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${
      isPlain ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''
    }\r\n`,
  );
  return new WebSocketConnection(socket, options);
}
