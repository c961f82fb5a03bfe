import { z } from 'zod';

/*
 * Between the main process and the host's utility process. Ports travel beside the message: `connect` brings a bridge
 * port, `download` one on which the host sends a head, then a chunk for each `pull`, then the end.
 */

/** Configuration of the host process, its one argument as JSON. */
export const hostConfigSchema = z.object({
  engine: z.string().optional(),
  settingsPath: z.string(),
  appVersion: z.string(),
  logLevel: z.enum(['error', 'warn', 'info', 'debug']),
});
/** Configuration of the host process. */
export type HostConfig = z.infer<typeof hostConfigSchema>;

/** From main to host. */
export const toHostSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connect') }),
  z.object({ type: z.literal('download'), path: z.string() }),
  z.object({ type: z.literal('stop') }),
]);

/** From main to host. */
export type ToHost = z.infer<typeof toHostSchema>;

/** From host to main. */
export const toMainSchema = z.object({ type: z.literal('openExternal'), url: z.string() });
/** From host to main. */
export type ToMain = z.infer<typeof toMainSchema>;

/** From the host on a download's port. */
export const downloadReplySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('head'), fileName: z.string(), mimeType: z.string() }),
  z.object({ type: z.literal('none') }),
  z.object({ type: z.literal('chunk'), bytes: z.instanceof(Uint8Array) }),
  z.object({ type: z.literal('end') }),
  z.object({ type: z.literal('failed'), message: z.string() }),
]);
/** From the host on a download's port. */
export type DownloadReply = z.infer<typeof downloadReplySchema>;
