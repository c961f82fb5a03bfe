import type { Exchange } from './exchange.ts';

/** Methods that routes have. */
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

/** Answers a request. Errors thrown before the answer begins become status and message. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

/** One endpoint. */
export interface Route {
  readonly method: Method;
  /** `{name}` takes anything, slashes included; `{id}` one segment. */
  readonly pattern: string;
  readonly handler: Handler;
  /** True when the endpoint takes over the connection of clients that ask for it. */
  readonly isHijack: boolean;
}

/** Makes a {@link Route} from a line such as `GET /containers/{name}/json`. */
export function route(line: string, handler: Handler, options: { isHijack?: boolean } = {}): Route {
  const [method = '', pattern = ''] = line.split(' ');
  return { method: method as Method, pattern, handler, isHijack: options.isHijack ?? false };
}

/** A route with the parts of the path. */
export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Compiled {
  readonly route: Route;
  readonly expression: RegExp;
}

function compile(pattern: string): RegExp {
  const source = pattern
    .replaceAll('.', String.raw`\.`)
    .replaceAll('{name}', '(?<name>.*)')
    .replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return new RegExp(`^${source}$`, 's');
}

/** Finds the first route that fits, in the order of the table; by method and first segment it is quick. */
export class Router {
  readonly #byKey = new Map<string, Compiled[]>();

  constructor(routes: readonly Route[]) {
    for (const candidate of routes) {
      const key = `${candidate.method} ${candidate.pattern.split('/')[1] ?? ''}`;
      const compiled = { route: candidate, expression: compile(candidate.pattern) };
      this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), compiled]);
    }
  }

  /** @param path  decoded, without version */
  find(method: string, path: string): RouteMatch | undefined {
    for (const { route: candidate, expression } of this.#byKey.get(
      `${method} ${path.split('/')[1] ?? ''}`,
    ) ?? []) {
      const match = expression.exec(path);
      if (match !== null) {
        return { route: candidate, params: match.groups ?? {} };
      }
    }
    return undefined;
  }
}

/** A request's target taken apart. */
export interface Target {
  /** Decoded, without version. */
  readonly path: string;
  /** As asked for; undefined when the path names none. */
  readonly version: string | undefined;
  /** Without the question mark. */
  readonly queryText: string;
}

/** @returns undefined when the target is not valid */
export function parseTarget(url: string): Target | undefined {
  const target = url.replace(/^https?:\/\/[^/]*/, '');
  const at = target.indexOf('?');
  const rawPath = at < 0 ? target : target.slice(0, at);
  let decoded: string;
  try {
    decoded = decodeURIComponent(rawPath);
  } catch {
    return undefined;
  }
  const match = /^\/v([0-9.]+)(\/.*)$/s.exec(decoded);
  return {
    path: match?.[2] ?? decoded,
    version: match?.[1],
    queryText: at < 0 ? '' : target.slice(at + 1),
  };
}
