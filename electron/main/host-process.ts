import type { MessagePortMain, UtilityProcess } from 'electron';
import { BoundedQueue, delay } from '../../engine/base/async.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { BridgeClient } from '../contract/client.ts';
import { portTransport } from '../contract/transport.ts';
import type { ElectronApi } from './electron-api.ts';
import {
  type DownloadReply,
  downloadReplySchema,
  type HostConfig,
  toMainSchema,
} from './host-messages.ts';
import { portLike } from './ports.ts';

/** How long the host may take to end its terminals and logs. */
const STOP_TIMEOUT_MS = 5000;

/** A download on its way to a file. */
export interface HostDownload {
  readonly fileName: string;
  readonly mimeType: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The host in a process of its own: neither a long search nor a flood of output can hold up the windows. */
export class HostProcess {
  readonly #electron: Pick<ElectronApi, 'utilityProcess' | 'MessageChannelMain'>;
  readonly #child: UtilityProcess;
  readonly #exited: Promise<void>;
  #hasExited = false;

  constructor(
    electron: Pick<ElectronApi, 'utilityProcess' | 'MessageChannelMain'>,
    options: {
      hostPath: string;
      config: HostConfig;
      log: Logger;
      openExternal: (url: string) => void;
      onExit: (code: number) => void;
    },
  ) {
    this.#electron = electron;
    this.#child = electron.utilityProcess.fork(options.hostPath, [JSON.stringify(options.config)], {
      serviceName: 'Gantry host',
      stdio: 'inherit',
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#exited = promise;
    this.#child.on('exit', (code) => {
      this.#hasExited = true;
      resolve();
      options.onExit(code);
    });
    this.#child.on('message', (message: unknown) => {
      const parsed = toMainSchema.safeParse(message);
      if (!parsed.success) {
        options.log.warn('host process sent something unknown', {});
      } else {
        options.openExternal(parsed.data.url);
      }
    });
  }

  /** Gives the host one end of a bridge; it serves it until it closes. */
  connect(port: MessagePortMain): void {
    this.#child.postMessage({ type: 'connect' }, [port]);
  }

  /** A bridge of the main process's own, for tray and menus. */
  openClient(): BridgeClient {
    const { port1, port2 } = new this.#electron.MessageChannelMain();
    this.connect(port2);
    return new BridgeClient(portTransport(portLike(port1)));
  }

  /** What a download path stands for; undefined when its ticket is void. */
  async download(path: string): Promise<HostDownload | undefined> {
    const { port1, port2 } = new this.#electron.MessageChannelMain();
    const replies = new BoundedQueue<DownloadReply>(4, 'block');
    port1.on('message', ({ data }) => {
      const parsed = downloadReplySchema.safeParse(data);
      void replies.push(
        parsed.success ? parsed.data : { type: 'failed', message: 'not understood' },
      );
    });
    port1.on('close', () => replies.end());
    port1.start();
    this.#child.postMessage({ type: 'download', path }, [port2]);
    const reader = replies[Symbol.asyncIterator]();
    const head = await reader.next();
    if (head.done === true || head.value.type !== 'head') {
      port1.close();
      return undefined;
    }
    const { fileName, mimeType } = head.value;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (;;) {
          // One chunk is asked for at a time, so a slow disk holds the engine back.
          port1.postMessage('pull');
          const reply = await reader.next();
          if (reply.done === true || reply.value.type === 'failed') {
            throw new Error('the download was interrupted');
          }
          if (reply.value.type === 'end') {
            return;
          }
          if (reply.value.type === 'chunk') {
            yield reply.value.bytes;
          }
        }
      } finally {
        port1.close();
      }
    }
    return { fileName, mimeType, chunks: chunks() };
  }

  /** Ends the process: asks, waits, insists. */
  async stop(): Promise<void> {
    if (this.#hasExited) {
      return;
    }
    this.#child.postMessage({ type: 'stop' }, []);
    await Promise.race([this.#exited, delay(STOP_TIMEOUT_MS)]);
    if (!this.#hasExited) {
      this.#child.kill();
    }
  }
}
