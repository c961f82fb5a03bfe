import { call, stream } from './method.ts';
import { containerId, downloadSchema } from './shared.ts';
import { z } from './zod.ts';

/** Lines the host keeps per open log; older ones go first. */
export const MAX_LOG_LINES = 1_000_000;
/** Bytes the host keeps per open log, whichever limit is met first. */
export const MAX_LOG_BYTES = 200 * 1024 * 1024;
/** Longest window `logs.window` answers. */
export const MAX_LOG_WINDOW_LINES = 2000;

/** One line, without its newline. Text may hold ANSI sequences and any other byte: hostile input. */
export const logLineSchema = z.object({
  /** Index into the `containerIds` that the log was opened with. */
  source: z.int(),
  stream: z.enum(['stdout', 'stderr']),
  /** Epoch ms with a fraction. */
  timeMs: z.number(),
  /** UTF-8 with U+FFFD for what is not; lines over 64 KiB are cut with a mark. */
  text: z.string(),
});

/** One line of a log. */
export type LogLine = z.infer<typeof logLineSchema>;

/**
 * Lines are numbered from 0 over the life of the open log. Lines `firstLine` to `lineCount - 1` are held; those below
 * have been dropped. `generation` changes when numbers start over (the log was re-read): forget everything cached.
 */
export const logUpdateSchema = z.object({
  type: z.literal('update'),
  generation: z.int(),
  firstLine: z.int(),
  lineCount: z.int(),
  heldBytes: z.number(),
  /** `loading` the past, `following`, `ended` (nothing runs), `offline` (the engine is away; continues by itself). */
  state: z.enum(['loading', 'following', 'ended', 'offline']),
});

/** Progress of an open log. */
export type LogUpdate = z.infer<typeof logUpdateSchema>;

/** What a search looks for. */
export const logQuerySchema = z.object({
  query: z.string().min(1).max(1000),
  isRegex: z.boolean(),
  isCaseSensitive: z.boolean(),
});

/** What a search looks for. ANSI sequences are not part of the text searched. */
export type LogQuery = z.infer<typeof logQuerySchema>;

const logId = z.string().max(100);

/** Channels about logs. */
export const logChannels = {
  /**
   * Opens a log: of one container, or of several merged by time. First item `opened`, then `update` at most every 50 ms.
   * The host keeps reading until the stream is closed, and holds what it read for a minute longer, so that
   * coming back to the page is instant.
   */
  'logs.open': stream({
    params: z.object({
      containerIds: z.array(containerId).min(1).max(50),
      /** Lines of the past; absent = as many as the host keeps. */
      tailLines: z.int().min(0).max(MAX_LOG_LINES).optional(),
    }),
    item: z.discriminatedUnion('type', [
      z.object({ type: z.literal('opened'), logId: z.string() }),
      logUpdateSchema,
    ]),
    up: z.never(),
    unit: 'items',
    window: 4,
  }),
  /** Lines `first` to `first + count - 1`, as far as they are held; `first` in the answer says where they begin. */
  'logs.window': call(
    z.object({ logId, first: z.int().min(0), count: z.int().min(1).max(MAX_LOG_WINDOW_LINES) }),
    z.object({ generation: z.int(), first: z.int(), lines: z.array(logLineSchema) }),
  ),
  /**
   * Numbers of all matching lines, ascending, in batches; works in slices so that other calls are served meanwhile.
   * With `follow` it goes on with new lines until closed, else it ends after the line that was last at the start.
   * An invalid regular expression ends it with `invalid-parameter`.
   */
  'logs.search': stream({
    params: z.object({ logId, query: logQuerySchema, follow: z.boolean() }),
    item: z.object({
      generation: z.int(),
      lines: z.array(z.int()),
      /** Lines below this number have been looked at. */
      scannedTo: z.int(),
      /** True once everything held has been looked at. */
      isComplete: z.boolean(),
    }),
    up: z.never(),
    unit: 'items',
    window: 16,
  }),
  /** The held lines (or the matching ones) as a text file. */
  'logs.export': call(
    z.object({ logId, withTimestamps: z.boolean(), query: logQuerySchema.optional() }),
    downloadSchema,
  ),
} as const;
