/**
 * The event log: what happened to which object, in order.
 *
 * Every concept publishes after the fact (the change is durable or visible). Readers get a bounded history
 * (`since`) followed by the live feed; a reader that falls more than the queue limit behind is disconnected.
 */

/** Kinds of objects that have events. */
export type EventType =
  | 'container'
  | 'image'
  | 'volume'
  | 'network'
  | 'daemon'
  | 'builder'
  | 'plugin';

/** One event in Docker's wire form (GET /events). */
export interface EventMessage {
  /** Only for container and image events, for old clients: equals Action, Actor.ID and the image. */
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
  readonly Type: EventType;
  /** Such as `create`, `start`, `die`, `exec_create: sh`. */
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: 'local';
  /** Seconds since the epoch. */
  readonly time: number;
  /** Nanoseconds since the epoch; a bigint printed without quotes on the wire. */
  readonly timeNano: bigint;
}

/** What to publish. */
export interface EventInput {
  readonly type: EventType;
  readonly action: string;
  readonly id: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Which events a reader wants. Within a key any value matches, between keys all must. */
export interface EventQuery {
  /** Keys: type, event, container, image, volume, network, daemon, label, scope, builder, plugin. */
  readonly filters?: ReadonlyMap<string, readonly string[]>;
  /** Nanoseconds since the epoch, inclusive; absent: no history. */
  readonly sinceNs?: bigint;
  /** Nanoseconds since the epoch; the iteration ends there. */
  readonly untilNs?: bigint;
  readonly signal?: AbortSignal;
}

/** The one event log of an engine. */
export interface EventLog {
  /** Records an event and hands it to readers; never throws, never blocks. */
  publish(event: EventInput): void;
  /** History from `sinceNs`, then live events until `untilNs` or abort. */
  subscribe(query: EventQuery): AsyncIterable<EventMessage>;
  /** Number of current readers, for `info`. */
  readonly listenerCount: number;
}
