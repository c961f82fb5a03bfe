import type { ProgressMessage, ProgressSink } from '../images/contract.ts';

/**
 * Output of stages that run side by side, shown as if they ran one after another: the first unfinished stage writes
 * through, the others are kept until it is their turn.
 */
export class StageOutputs {
  readonly #sink: ProgressSink;
  readonly #kept: ProgressMessage[][];
  readonly #ended: boolean[];
  #current = 0;

  constructor(sink: ProgressSink, stageCount: number) {
    this.#sink = sink;
    this.#kept = Array.from({ length: stageCount }, () => []);
    this.#ended = Array.from({ length: stageCount }, () => false);
  }

  /** The sink of one stage. */
  of(stage: number): ProgressSink {
    return (message) => {
      if (stage === this.#current) {
        this.#sink(message);
      } else {
        this.#kept[stage]?.push(message);
      }
    };
  }

  /** Nothing more comes from this stage. */
  end(stage: number): void {
    this.#ended[stage] = true;
    while (this.#ended[this.#current] === true) {
      this.#current += 1;
      for (const message of this.#kept[this.#current]?.splice(0) ?? []) {
        this.#sink(message);
      }
    }
  }
}
