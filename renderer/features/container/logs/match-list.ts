/** Numbers of matching lines, ascending: grows in place and holds a million in 4 MB. */
export class MatchList {
  #lines = new Int32Array(1024);
  #start = 0;
  #end = 0;

  /** How many are held. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Line number of the match with this index. */
  at(index: number): number | undefined {
    return index < 0 || index >= this.length ? undefined : this.#lines[this.#start + index];
  }

  /** Adds numbers greater than all before. */
  push(lines: readonly number[]): void {
    const needed = this.#end + lines.length;
    if (needed > this.#lines.length) {
      const grown = new Int32Array(Math.max(needed, this.#lines.length * 2));
      grown.set(this.#lines.subarray(0, this.#end));
      this.#lines = grown;
    }
    this.#lines.set(lines, this.#end);
    this.#end = needed;
  }

  /** Forgets matches below a line number. */
  dropBelow(line: number): void {
    while (this.#start < this.#end && (this.#lines[this.#start] ?? 0) < line) {
      this.#start += 1;
    }
  }
}
