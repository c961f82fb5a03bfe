/** `ip` and `nft` as long-running helpers: requests of many lines, answered when the kernel has done them. */

import { SystemError } from '../base/errors.ts';
import { AckProcess } from '../base/node/ack-process.ts';
import { run } from '../base/node/run.ts';

/** Requests worked off side by side: more than the processors of a small machine gain nothing. */
const LANES = 2;

/**
 * Runs commands of iproute2. Lines are what follows `ip` on a command line (`link set lo up`); `netns exec` works.
 * A line that fails does not stop the ones after it, so a caller that gets an error undoes the whole request.
 */
export class IpTool implements AsyncDisposable {
  readonly #lanes = Array.from({ length: LANES }, () => ({
    process: new AckProcess({
      file: 'ip',
      args: ['-force', '-batch', '-'],
      acknowledge: (token) => `address show dev ${token}`,
      // Behind each acknowledgement comes "Command failed -:N", which then stands before the next answer.
      clean: (lines) => lines.slice(lines[0]?.startsWith('Command failed -:') === true ? 1 : 0, -1),
    }),
    pendingCount: 0,
  }));

  /** @throws SystemError  some line failed; the message is what `ip` said */
  async apply(lines: readonly string[]): Promise<void> {
    const said = await this.attempt(lines);
    if (said.length > 0) {
      throw new SystemError(
        said.filter((line) => !line.startsWith('Command failed')).join('; ') || 'ip failed',
      );
    }
  }

  /** Like {@link apply}, but failures are only returned: for clearing away what may be gone already. */
  async attempt(lines: readonly string[]): Promise<readonly string[]> {
    const lane = this.#lanes.reduce((best, other) =>
      other.pendingCount < best.pendingCount ? other : best,
    );
    if (lines.length === 0) {
      return [];
    }
    lane.pendingCount += 1;
    try {
      return await lane.process.request(lines);
    } finally {
      lane.pendingCount -= 1;
    }
  }

  /** To be called after a device that had a chosen name was removed: `ip` remembers numbers of names. */
  forget(): void {
    for (const lane of this.#lanes) {
      lane.process.recycle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#lanes.map(async (lane) => lane.process[Symbol.asyncDispose]()));
  }
}

/** Runs nftables commands; each line is one transaction. */
export class NftTool implements AsyncDisposable {
  readonly #process = new AckProcess({
    file: 'nft',
    args: ['-i'],
    // Without a home the interactive mode cannot leave a history file behind.
    env: { HOME: '/dev/null' },
    acknowledge: (token) => `list table inet ${token.replaceAll('-', '_')}_${token}`,
    clean: cleanNft,
  });

  /** @throws SystemError  some line failed; lines after it were tried nevertheless */
  async apply(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) {
      return;
    }
    const said = await this.#process.request(lines);
    if (said.length > 0) {
      throw new SystemError(`nft: ${said.join(' ').slice(0, 2000)}`);
    }
  }

  /** Loads a file's worth of commands in one transaction. @throws SystemError  nothing of it is in effect */
  async load(text: string): Promise<void> {
    const result = await run('nft', ['-f', '-'], { input: text });
    if (result.exitCode !== 0) {
      throw new SystemError(`nft refused the rules: ${result.stderr.trim().slice(0, 2000)}`);
    }
  }

  /** Output of `nft ARGS`, or undefined when it failed (no such table). */
  async read(args: readonly string[]): Promise<string | undefined> {
    const result = await run('nft', args, { maxOutputBytes: 16 * 1024 * 1024 });
    return result.exitCode === 0 ? result.stdout : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Drops the lines that acknowledgements cause: carets of the one before, error line and echo of this one. */
function cleanNft(lines: readonly string[]): string[] {
  const said = lines.slice(0, -1);
  const lastError = said.findLastIndex((line) => line.includes('Error:'));
  if (lastError >= 0) {
    said.splice(lastError);
  }
  return said.filter((line) => !/^[\s^~]*$/.test(line));
}
