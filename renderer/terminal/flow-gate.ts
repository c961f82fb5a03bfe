/** Bytes given to the terminal widget and not yet drawn above which nothing more is read. */
export const HIGH_WATER_BYTES = 100_000;
/** Reading goes on once no more than this are left; far below the high mark, so that pauses are rare. */
export const LOW_WATER_BYTES = 5000;

/** Counts what the widget still has to take, and holds the reader back while that is too much. */
export class FlowGate {
  #outstandingBytes = 0;
  #wake: (() => void) | undefined;

  /** Bytes were given to the widget. */
  add(bytes: number): void {
    this.#outstandingBytes += bytes;
  }

  /** The widget has taken bytes. */
  done(bytes: number): void {
    this.#outstandingBytes -= bytes;
    if (this.#outstandingBytes <= LOW_WATER_BYTES) {
      this.#wake?.();
      this.#wake = undefined;
    }
  }

  /** Resolves at once below the high mark, else when the low mark is reached. */
  async ready(): Promise<void> {
    if (this.#outstandingBytes > HIGH_WATER_BYTES) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Bytes not yet taken. */
  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }
}
