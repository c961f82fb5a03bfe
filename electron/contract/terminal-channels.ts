import { call, stream } from './method.ts';
import { containerId, emptySchema } from './shared.ts';
import { z } from './zod.ts';

/** Bytes of output the host keeps per session for re-attaching. */
export const TERMINAL_REPLAY_BYTES = 1024 * 1024;

const sessionId = z.string().max(100);
const cols = z.int().min(2).max(1000);
const rows = z.int().min(1).max(1000);

/** A terminal session kept by the host. */
export const terminalSessionSchema = z.object({
  sessionId: z.string(),
  containerId: z.string(),
  /** What runs: `bash`, `sh`, … or `attach` for the container's own terminal. */
  title: z.string(),
  createdAtMs: z.number(),
  /** There once it is over; the replay can still be read until the session is closed. */
  exit: z.object({ code: z.int().optional(), reason: z.string().optional() }).optional(),
});

/** A terminal session kept by the host. */
export type TerminalSession = z.infer<typeof terminalSessionSchema>;

/** Channels about terminals. */
export const terminalChannels = {
  /**
   * Starts a session; it lives in the host until it exits or is closed, whatever page is shown.
   * `exec` without `command` finds the best shell (bash, sh, ash); error `no-shell` when there is none.
   * `attach` joins the container's own terminal. Measure the size first: it is the program's from its first prompt on.
   */
  'terminal.open': call(
    z.object({
      containerId,
      kind: z.enum(['exec', 'attach']),
      command: z.array(z.string().max(10_000)).min(1).max(100).optional(),
      user: z.string().max(200).optional(),
      workdir: z.string().max(4096).optional(),
      cols,
      rows,
    }),
    terminalSessionSchema,
  ),
  /**
   * Output as bytes, first what the host kept (after the item `attached`), then live; input as bytes.
   * Bytes may be split anywhere, also inside a character. Several pages may attach at once; all see the same.
   * Grant credit only when the terminal widget has taken the bytes: the program is paused otherwise.
   */
  'terminal.attach': stream({
    params: z.object({ sessionId, cols, rows }),
    item: z.discriminatedUnion('type', [
      z.object({
        type: z.literal('attached'),
        session: terminalSessionSchema,
        /** Bytes of replay that follow. */
        replayBytes: z.int(),
        /** True when older output is gone: the screen may need a redraw (resize does it). */
        isTruncated: z.boolean(),
      }),
      z.object({
        type: z.literal('exit'),
        code: z.int().optional(),
        reason: z.string().optional(),
      }),
    ]),
    up: z.object({ type: z.literal('resize'), cols, rows }),
    unit: 'bytes',
    window: 256 * 1024,
  }),
  'terminal.list': call(
    z.object({ containerId: containerId.optional() }),
    z.object({ sessions: z.array(terminalSessionSchema) }),
  ),
  /** Ends the session: its program gets a hang-up. Unknown sessions are no error. */
  'terminal.close': call(z.object({ sessionId }), emptySchema),
} as const;
