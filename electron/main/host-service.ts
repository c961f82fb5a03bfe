import { messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { portTransport } from '../contract/transport.ts';
import type { Host } from '../host/host.ts';
import { type DownloadReply, toHostSchema } from './host-messages.ts';
import { type ElectronPort, portLike } from './ports.ts';

/** `process.parentPort` of a utility process. */
export interface ParentPort {
  on(
    event: 'message',
    listener: (event: { data: unknown; ports: readonly ElectronPort[] }) => void,
  ): unknown;
  postMessage(message: unknown): void;
}

/** Serves the main process: bridges, downloads, and the end. */
export function serveParent(parent: ParentPort, host: Host, log: Logger, exit: () => void): void {
  parent.on('message', ({ data, ports }) => {
    const parsed = toHostSchema.safeParse(data);
    if (!parsed.success) {
      log.warn('main process sent something unknown', {});
      return;
    }
    const port = ports[0];
    switch (parsed.data.type) {
      case 'connect':
        if (port !== undefined) {
          host.serve(portTransport(portLike(port)));
        }
        break;
      case 'download':
        if (port !== undefined) {
          sendDownload(port, host, parsed.data.path).catch((error: unknown) => {
            log.warn('download failed', { error });
          });
        }
        break;
      case 'stop':
        host[Symbol.asyncDispose]()
          .catch((error: unknown) => log.error('stop failed', { error }))
          .finally(() => {
            exit();
          });
        break;
      default:
        parsed.data satisfies never;
    }
  });
}

async function sendDownload(port: ElectronPort, host: Host, path: string): Promise<void> {
  const reply = (message: DownloadReply): void => port.postMessage(message);
  const download = host.downloads.take(path);
  if (download === undefined) {
    reply({ type: 'none' });
    return;
  }
  const abort = new AbortController();
  let pulls = 0;
  let wake = (): void => {};
  port.on('message', () => {
    pulls += 1;
    wake();
  });
  port.on('close', () => {
    abort.abort(new DOMException('receiver left', 'AbortError'));
    wake();
  });
  port.start();
  reply({ type: 'head', fileName: download.fileName, mimeType: download.mimeType });
  const nextPull = async (): Promise<void> => {
    while (pulls === 0 && !abort.signal.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    pulls -= 1;
  };
  try {
    await nextPull();
    for await (const bytes of download.open(abort.signal)) {
      if (abort.signal.aborted) {
        return;
      }
      reply({ type: 'chunk', bytes: new Uint8Array(bytes) });
      await nextPull();
    }
    reply({ type: 'end' });
  } catch (error) {
    reply({ type: 'failed', message: messageOf(error) });
  }
}
