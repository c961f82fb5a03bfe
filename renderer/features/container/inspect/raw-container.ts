import type { Json } from '../../../components/json-model.ts';

/** What follows a path of names through raw JSON; undefined where it ends. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let now = value;
  for (const name of path) {
    if (now === null || now === undefined || typeof now !== 'object' || Array.isArray(now)) {
      return undefined;
    }
    now = (now as { readonly [key: string]: Json })[name];
  }
  return now;
}

/** A text at a path; empty when there is none. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : typeof found === 'number' ? String(found) : '';
}

/** A number at a path; 0 when there is none. */
export function numberAt(value: Json | undefined, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : 0;
}

/** Whether there is a true at a path. */
export function isTrueAt(value: Json | undefined, ...path: readonly string[]): boolean {
  return at(value, ...path) === true;
}

/** The elements of a list at a path. */
export function listAt(value: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The texts of a list at a path. */
export function textsAt(value: Json | undefined, ...path: readonly string[]): readonly string[] {
  return listAt(value, ...path).filter((element) => typeof element === 'string');
}

/** Names and values of an object at a path. */
export function entriesAt(
  value: Json | undefined,
  ...path: readonly string[]
): readonly (readonly [string, Json])[] {
  const found = at(value, ...path);
  return found !== null && found !== undefined && typeof found === 'object' && !Array.isArray(found)
    ? Object.entries(found)
    : [];
}

/** Epoch ms of an engine's time; undefined for its zero time. */
export function timeAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const written = textAt(value, ...path);
  const timeMs = Date.parse(written);
  return written === '' || written.startsWith('0001-') || Number.isNaN(timeMs) ? undefined : timeMs;
}

/** A published or exposed port. */
export interface RawPort {
  readonly container: string;
  /** Empty when it is not published. */
  readonly host: string;
}

/** Ports of a container's network settings, one row per address. */
export function portsOf(raw: Json): readonly RawPort[] {
  return entriesAt(raw, 'NetworkSettings', 'Ports').flatMap(([container, bindings]) => {
    const list = Array.isArray(bindings) ? (bindings as readonly Json[]) : [];
    if (list.length === 0) {
      return [{ container, host: '' }];
    }
    return list.map((binding) => {
      const ip = textAt(binding, 'HostIp');
      const address = ip.includes(':') ? `[${ip}]` : ip;
      return { container, host: `${address}:${textAt(binding, 'HostPort')}` };
    });
  });
}
