import {
  ConflictError,
  InvalidParameterError,
  NotFoundError,
  SystemError,
} from '../../base/errors.ts';
import type { ContainerInspect, OutputChunk, StreamSession } from '../../containers/contract.ts';
import { MemoryEventLog } from '../../events/memory-event-log.ts';
import type { Services } from '../services.ts';

/** For tests: services at their contracts, without anything behind them. */

/** A session whose output the test writes; remembers its input. */
export class FakeSession implements StreamSession {
  readonly hasTty: boolean;
  input = '';
  hasInputEnded = false;
  isDisposed = false;
  readonly #chunks: OutputChunk[] = [];
  #hasEnded = false;
  #wake: () => void = () => {};
  readonly #inputEnded = Promise.withResolvers<void>();

  constructor(hasTty = false) {
    this.hasTty = hasTty;
  }

  /** Resolves when the client has closed its side. */
  get inputEnded(): Promise<void> {
    return this.#inputEnded.promise;
  }

  say(stream: 'stdout' | 'stderr', text: string): void {
    this.#chunks.push({ stream, data: Buffer.from(text) });
    this.#wake();
  }

  finish(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  readonly output: AsyncIterable<OutputChunk> = this.#read();

  async *#read(): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
      } else if (this.#hasEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  async write(data: Uint8Array): Promise<void> {
    this.input += Buffer.from(data).toString();
    await Promise.resolve();
  }

  async closeInput(): Promise<void> {
    this.hasInputEnded = true;
    this.#inputEnded.resolve();
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    this.finish();
    await Promise.resolve();
  }
}

/** An object whose missing methods answer in a way that the test chooses. */
export function standIn<T extends object>(
  own: Partial<T>,
  otherwise: (method: string) => unknown,
): T {
  return new Proxy(own, {
    get: (target, key) =>
      Reflect.has(target, key)
        ? (Reflect.get(target, key) as unknown)
        : async (..._args: unknown[]) => await Promise.resolve(otherwise(String(key))),
  }) as T;
}

/** What a service may do to a request. */
export const ERRORS = [
  () => new NotFoundError('No such container: x'),
  () => new ConflictError('conflict'),
  () => new InvalidParameterError('invalid reference format'),
  () => new SystemError('the disk is full'),
];

/** Overrides per service. */
export type FakeOverrides = { readonly [K in keyof Services]?: Partial<Services[K]> };

/** Services that throw NotFoundError for everything but what `own` has. */
export function fakeServices(
  own: FakeOverrides = {},
  otherwise: (method: string) => unknown = (method) => {
    throw new NotFoundError(`no such thing: ${method}`);
  },
): Services {
  const containers: Partial<Services['containers']> = {
    volumeUsers: () => new Map(),
    networkUsers: () => new Map(),
    imageUsers: () => [],
    assertExecReady: () => {},
    ...own.containers,
  };
  const volumes: Partial<Services['volumes']> = {
    list: () => [],
    inspect: (name) => {
      throw new NotFoundError(`get ${name}: no such volume`);
    },
    isAnonymous: () => false,
    ...own.volumes,
  };
  return {
    containers: standIn(containers, otherwise),
    images: standIn(own.images ?? {}, otherwise),
    networks: standIn(own.networks ?? {}, otherwise),
    volumes: standIn(volumes, otherwise),
    events: own.events === undefined ? new MemoryEventLog() : standIn(own.events, otherwise),
    build: standIn({ cancel: () => {}, ...own.build }, otherwise),
    system: standIn(own.system ?? {}, otherwise),
  };
}

/** A container as inspect has it, with the fields that routes look at. */
export function fakeInspect(id: string): ContainerInspect {
  return {
    Id: id,
    Config: { Hostname: 'host' },
    NetworkSettings: { Networks: { bridge: {}, own: { Aliases: ['x'] } } },
    ImageManifestDescriptor: {},
  } as unknown as ContainerInspect;
}
