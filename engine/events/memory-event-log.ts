import { BoundedQueue } from '../base/async.ts';
import type { EventInput, EventLog, EventMessage, EventQuery } from './contract.ts';
import { matchesEvent } from './event-filter.ts';

/** Events kept for `since`: enough for a client that reconnects, little enough to cost no memory to speak of. */
const HISTORY_LIMIT = 1000;
/** Events a live reader may lag behind before it is cut off; a fraction of what one container start-up storm makes. */
const READER_QUEUE_LIMIT = 10_000;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;
/** Node's timers cannot wait longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Reader {
  readonly query: EventQuery;
  readonly queue: BoundedQueue<EventMessage>;
}

/**
 * The event log in memory: a ring of the last {@link HISTORY_LIMIT} events and any number of live readers.
 * Time stamps never repeat nor go back, so that `since` of the last event seen loses nothing.
 */
export class MemoryEventLog implements EventLog {
  readonly #history: EventMessage[] = [];
  readonly #readers = new Set<Reader>();
  readonly #now: () => number;
  #lastNs = 0n;

  /** @param now  milliseconds since the epoch, with fractions */
  constructor(now: () => number = () => performance.timeOrigin + performance.now()) {
    this.#now = now;
  }

  get listenerCount(): number {
    return this.#readers.size;
  }

  publish(event: EventInput): void {
    const message = toMessage(event, this.#nextNs());
    this.#history.push(message);
    if (this.#history.length > HISTORY_LIMIT) {
      this.#history.shift();
    }
    for (const reader of this.#readers) {
      if (matchesEvent(reader.query.filters, message)) {
        void reader.queue.push(message);
      }
    }
  }

  /** The reader is registered at the call, not at the first `next`. */
  subscribe(query: EventQuery): AsyncIterable<EventMessage> {
    const reader: Reader = { query, queue: new BoundedQueue(READER_QUEUE_LIMIT, 'disconnect') };
    const { sinceNs, untilNs } = query;
    const past =
      sinceNs === undefined
        ? []
        : this.#history.filter(
            (event) =>
              event.timeNano >= sinceNs &&
              (untilNs === undefined || event.timeNano <= untilNs) &&
              matchesEvent(query.filters, event),
          );
    const isOver = untilNs !== undefined && untilNs <= this.#clockNs();
    if (!isOver && query.signal?.aborted !== true) {
      this.#readers.add(reader);
      this.#endWithQuery(reader);
    } else {
      reader.queue.end();
    }
    return this.#read(past, reader);
  }

  async *#read(past: readonly EventMessage[], reader: Reader): AsyncGenerator<EventMessage> {
    try {
      for (const event of past) {
        if (reader.query.signal?.aborted === true) {
          return;
        }
        yield event;
      }
      for await (const event of reader.queue) {
        yield event;
      }
    } finally {
      this.#readers.delete(reader);
      reader.queue[Symbol.dispose]();
    }
  }

  #endWithQuery(reader: Reader): void {
    const { signal, untilNs } = reader.query;
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      this.#readers.delete(reader);
      reader.queue.end();
    };
    signal?.addEventListener('abort', end, { once: true });
    if (untilNs !== undefined) {
      const wait = (): void => {
        const leftMs = Number(untilNs - this.#clockNs()) / Number(NS_PER_MS);
        if (leftMs <= 0 || !this.#readers.has(reader)) {
          end();
        } else {
          timer = setTimeout(wait, Math.min(Math.ceil(leftMs), MAX_TIMER_MS));
          timer.unref();
        }
      };
      wait();
    }
  }

  #clockNs(): bigint {
    return BigInt(Math.round(this.#now() * 1000)) * 1000n;
  }

  #nextNs(): bigint {
    const now = this.#clockNs();
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    return this.#lastNs;
  }
}

function toMessage(event: EventInput, timeNs: bigint): EventMessage {
  const attributes = event.attributes ?? {};
  const isLegacy = event.type === 'container' || event.type === 'image';
  return {
    ...(isLegacy ? { status: event.action, id: event.id } : {}),
    ...(event.type === 'container' && attributes['image'] !== undefined
      ? { from: attributes['image'] }
      : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: { ...attributes } },
    scope: 'local',
    time: Number(timeNs / NS_PER_SECOND),
    timeNano: timeNs,
  };
}
