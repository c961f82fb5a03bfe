import { appChannels } from './app-channels.ts';
import { containerChannels } from './container-channels.ts';
import { imageChannels } from './image-channels.ts';
import { logChannels } from './log-channels.ts';
import type { CallMethod, StreamMethod } from './method.ts';
import { storageChannels } from './storage-channels.ts';
import { terminalChannels } from './terminal-channels.ts';
import type { z } from './zod.ts';

/** Every method of the bridge: the whole surface the page has. */
export const channels = {
  ...appChannels,
  ...containerChannels,
  ...logChannels,
  ...terminalChannels,
  ...imageChannels,
  ...storageChannels,
} as const;

/** The channel map. */
export type Channels = typeof channels;
/** Name of a method. */
export type Method = keyof Channels;
/** Name of a method with one answer. */
export type CallName = {
  [M in Method]: Channels[M] extends CallMethod ? M : never;
}[Method];
/** Name of a method that is a stream. */
export type StreamName = {
  [M in Method]: Channels[M] extends StreamMethod ? M : never;
}[Method];

/** Parameters as the caller writes them. */
export type Params<M extends Method> = z.input<Channels[M]['params']>;
/** Parameters as the host gets them, decoded. */
export type DecodedParams<M extends Method> = z.output<Channels[M]['params']>;
/** Answer of a call. */
export type Result<M extends CallName> = z.output<Channels[M]['result']>;
/** Item of a stream, host to page. */
export type Item<M extends StreamName> = z.output<Channels[M]['item']>;
/** Item of a stream, page to host. */
export type UpItem<M extends StreamName> = z.output<Channels[M]['up']>;

/** True when `name` is a method. */
export function isMethod(name: string): name is Method {
  return Object.hasOwn(channels, name);
}
