import { messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { portTransport } from '../contract/transport.ts';
import type { Host } from '../host/host.ts';
import { type DownloadReply, type ToHost, toHostSchema } from './host-messages.ts';
import { type ElectronPort, portLike } from './ports.ts';

/** `process.parentPort` of a utility process. */
export interface ParentPort {
  on(
    event: 'message',
    listener: (event: { data: unknown; ports: readonly ElectronPort[] }) => void,
  ): unknown;
  postMessage(message: unknown): void;
}

/**
 * Serves the main process: bridges, downloads, and the end. Listens at once, so that nothing is lost that is sent while
 * the host is still opening.
 */
export function serveParent(
  parent: ParentPort,
  host: Promise<Host>,
  log: Logger,
  exit: () => void,
): void {
  parent.on('message', ({ data, ports }) => {
    const parsed = toHostSchema.safeParse(data);
    if (!parsed.success) {
      log.warn('main process sent something unknown', {});
      return;
    }
    handle(parsed.data, ports[0], { host, exit }).catch((error: unknown) => {
      log.warn('request of the main process failed', { type: parsed.data.type, error });
    });
  });
}

async function handle(
  message: ToHost,
  port: ElectronPort | undefined,
  context: { host: Promise<Host>; exit: () => void },
): Promise<void> {
  const host = await context.host;
  if (message.type === 'stop') {
    try {
      await host[Symbol.asyncDispose]();
    } finally {
      context.exit();
    }
  } else if (port !== undefined && message.type === 'connect') {
    host.serve(portTransport(portLike(port)));
  } else if (port !== undefined && message.type === 'download') {
    await sendDownload(port, host, message.path);
  }
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
