import { z } from './zod.ts';

/** Answer with nothing to say. */
export const emptySchema = z.object({});

/** A container's id or name, safe to stand in a URL path after encoding. */
export const containerId = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 'not a container id or name');

/** An object's id, name or reference. */
export const objectRef = z
  .string()
  .min(1)
  .max(500)
  // No white space, control characters, query or fragment; `..` can never be a path segment.
  .regex(/^[^\s?#\\%\p{Cc}]+$/u, 'not a valid name')
  .refine((text) => !text.split('/').includes('..'), { message: 'not a valid name' });

/** Protocols of a port. */
export const portProtocolSchema = z.enum(['tcp', 'udp', 'sctp']);

/**
 * Something to download: a path on the page's own origin, valid once and for one minute. The page puts it into an
 * `<a href download>` and clicks it; browser and Electron then save it without it passing through the page.
 */
export const downloadSchema = z.object({ path: z.string() });

/** Registry credentials for one operation; never stored by the host. */
export const registryAuthSchema = z.object({
  username: z.string().max(500),
  password: z.string().max(10_000),
  serverAddress: z.string().max(500).optional(),
});
