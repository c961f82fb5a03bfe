import type { Session } from 'electron';
import { contentDisposition, DOWNLOAD_PATH } from '../host/downloads.ts';
import { findStaticFile, SECURITY_HEADERS } from '../host/static-files.ts';
import { APP_SCHEME, type ElectronApi, isOwnUrl } from './electron-api.ts';
import type { HostProcess } from './host-process.ts';

/** Must be called before the app is ready. */
export function registerScheme(electron: Pick<ElectronApi, 'protocol'>): void {
  electron.protocol.registerSchemesAsPrivileged([
    {
      scheme: APP_SCHEME,
      privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true },
    },
  ]);
}

function refusal(status: number, message: string): Response {
  return new Response(`${message}\n`, {
    status,
    headers: { ...SECURITY_HEADERS, 'content-type': 'text/plain; charset=utf-8' },
  });
}

function bodyOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks);
}

/** Answers a request of the page: a file below `pageRoot`, or a download that the host offered. */
export async function answerPage(
  request: Pick<Request, 'url' | 'method'>,
  options: { pageRoot: string; host: Pick<HostProcess, 'download'> },
): Promise<Response> {
  if (!isOwnUrl(request.url)) {
    return refusal(404, 'There is nothing here.');
  }
  if (request.method !== 'GET') {
    return refusal(405, 'Only GET is understood.');
  }
  const { pathname } = new URL(request.url);
  if (pathname.startsWith(DOWNLOAD_PATH)) {
    const download = await options.host.download(pathname);
    if (download === undefined) {
      return refusal(404, 'This download was used already or is too old. Start it again.');
    }
    return new Response(bodyOf(download.chunks), {
      headers: {
        ...SECURITY_HEADERS,
        'content-type': download.mimeType,
        'content-disposition': contentDisposition(download.fileName),
      },
    });
  }
  const file = await findStaticFile(options.pageRoot, pathname);
  if (file === undefined) {
    return refusal(404, 'There is nothing here.');
  }
  return new Response(bodyOf(file.stream()), {
    headers: {
      ...SECURITY_HEADERS,
      'content-type': file.mimeType,
      'content-length': String(file.sizeBytes),
    },
  });
}

/** Serves the page's origin in a session. */
export function servePage(
  session: Session,
  options: { pageRoot: string; host: Pick<HostProcess, 'download'> },
): void {
  session.protocol.handle(APP_SCHEME, (request) => answerPage(request, options));
}
