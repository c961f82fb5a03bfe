import { encodeFrame } from '../../api/stream-framing.ts';
import { messageOf } from '../../base/errors.ts';
import { BuildStepError } from '../../build/contract.ts';
import type { OutputChunk, StreamSession } from '../../containers/contract.ts';
import type { ProgressMessage, ProgressSink } from '../../images/contract.ts';
import type { Exchange, ResponseStream } from '../exchange.ts';
import { answerOf } from '../http-status.ts';

/** Streams without frames: terminals and old clients. */
export const RAW_STREAM = 'application/vnd.docker.raw-stream';
/** Streams with frames; told apart since API 1.42. */
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** Both ways of a client's connection. */
export interface ClientStreams {
  readonly signal: AbortSignal;
  input(): AsyncIterable<Uint8Array>;
  write(data: Uint8Array): Promise<void>;
  end(): void;
}

/** Output as it goes to the client. */
export type Encode = (chunk: OutputChunk) => Uint8Array;

/** Output of a terminal: no frames. */
export const encodeRaw: Encode = (chunk) => chunk.data;
/** Output of separate streams: frames. */
export const encodeFramed: Encode = (chunk) => encodeFrame(chunk.stream, chunk.data);

/**
 * Connects a session with a client until the output ends or the client is gone; both are closed at the end.
 * The client's end of input closes the session's input only.
 */
export async function relay(
  session: StreamSession,
  client: ClientStreams,
  options: { readonly takesInput: boolean; readonly encode: Encode },
): Promise<void> {
  const onGone = (): void => {
    void session[Symbol.asyncDispose]();
  };
  client.signal.addEventListener('abort', onGone, { once: true });
  const feeding = feed(session, client, options.takesInput);
  try {
    for await (const chunk of session.output) {
      await client.write(options.encode(chunk));
    }
  } finally {
    client.signal.removeEventListener('abort', onGone);
    client.end();
    await session[Symbol.asyncDispose]();
  }
  await feeding;
}

/** Never rejects: what goes wrong with the input shows in the output's end. */
async function feed(
  session: StreamSession,
  client: ClientStreams,
  takesInput: boolean,
): Promise<void> {
  try {
    for await (const chunk of client.input()) {
      if (takesInput) {
        await session.write(chunk);
      }
    }
    if (takesInput && !client.signal.aborted) {
      await session.closeInput();
    }
  } catch {
    // The process or its shim has ended; the output says so.
  }
}

/** Bytes a client may lag behind before progress that is soon outdated is left out. */
const PROGRESS_LAG_BYTES = 1024 * 1024;

/**
 * Answer of pull, push, load and build: JSON lines. The status goes out with the first line, so that an error before it
 * has a status of its own; later ones become a last line.
 */
export class ProgressAnswer {
  readonly #exchange: Exchange;
  #stream: ResponseStream | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** To be handed to the service. */
  readonly sink: ProgressSink = (message: ProgressMessage) => {
    if (this.#exchange.isClientGone) {
      return;
    }
    const stream = this.begin();
    const isPassing = message.progressDetail?.current !== undefined;
    if (!isPassing || stream.pendingBytes < PROGRESS_LAG_BYTES) {
      stream.pushJson(message);
    }
  };

  /** Sends status and headers, once. */
  begin(): ResponseStream {
    this.#stream ??= this.#exchange.stream('application/json');
    return this.#stream;
  }

  /** Runs the work and ends the answer. @throws what the work throws, when nothing was sent yet */
  async run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#stream === undefined || this.#exchange.isClientGone) {
        throw error;
      }
      this.fail(error);
      return;
    }
    this.begin().end();
  }

  /** Ends the answer with an error line. */
  fail(error: unknown): void {
    const answer = answerOf(error);
    if (!answer.isClassified) {
      this.#exchange.log.error('unforeseen error', { path: this.#exchange.path, error });
    }
    const message = messageOf(error);
    const exitCode = error instanceof BuildStepError ? error.exitCode : undefined;
    const code = answer.status === 401 ? { code: 401 } : exitCode && { code: exitCode };
    const stream = this.begin();
    stream.pushJson({ errorDetail: { ...code, message }, error: message });
    stream.end();
  }
}
