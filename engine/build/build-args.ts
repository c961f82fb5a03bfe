import type { Assignment } from './dockerfile/instructions.ts';

/** Arguments that may be given without being declared; they stay out of the history. */
const PREDEFINED: readonly string[] = [
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'FTP_PROXY',
  'ftp_proxy',
  'NO_PROXY',
  'no_proxy',
  'ALL_PROXY',
  'all_proxy',
];

/** What all stages of a build share: values from the client, and ARGs before the first FROM. */
export class BuildArgs {
  readonly #given: ReadonlyMap<string, string | null>;
  readonly #referenced = new Set<string>();
  readonly #meta = new Map<string, string | undefined>();

  constructor(given: ReadonlyMap<string, string | null>) {
    this.#given = given;
  }

  /** ARG before the first FROM. */
  addMeta(argument: Assignment): void {
    this.#referenced.add(argument.name);
    this.#meta.set(argument.name, this.given(argument.name) ?? argument.value);
  }

  /** Value that the client gave. */
  given(name: string): string | undefined {
    return this.#given.get(name) ?? undefined;
  }

  meta(name: string): string | undefined {
    return this.#meta.get(name);
  }

  /** A stage declared it. */
  reference(name: string): void {
    this.#referenced.add(name);
  }

  /** Names given but never declared, for Docker's warning. */
  unused(): string[] {
    return [...this.#given.keys()]
      .filter((name) => !this.#referenced.has(name) && !PREDEFINED.includes(name))
      .sort();
  }

  /** Given ones that need no declaration. */
  predefined(): Map<string, string> {
    return new Map(
      PREDEFINED.flatMap((name) => {
        const value = this.given(name);
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }
}

/** The arguments declared so far in one stage. */
export class StageArgs {
  readonly #shared: BuildArgs;
  readonly #declared = new Map<string, string | undefined>();

  constructor(shared: BuildArgs) {
    this.#shared = shared;
  }

  /** ARG: the client's value wins over the default, which wins over the value before the first FROM. */
  declare(argument: Assignment): void {
    this.#shared.reference(argument.name);
    this.#declared.set(
      argument.name,
      this.#shared.given(argument.name) ?? argument.value ?? this.#shared.meta(argument.name),
    );
  }

  value(name: string): string | undefined {
    return this.#declared.get(name);
  }

  /** `NAME=value` for RUN, without those that ENV sets. */
  forRun(env: readonly string[]): { readonly all: string[]; readonly recorded: string[] } {
    const taken = new Set(env.map((entry) => entry.split('=', 1)[0]));
    const format = (values: Iterable<readonly [string, string | undefined]>): string[] =>
      [...values].flatMap(([name, value]) =>
        value === undefined || taken.has(name) ? [] : [`${name}=${value}`],
      );
    const recorded = format(this.#declared).sort();
    const undeclared = [...this.#shared.predefined()].filter(([name]) => !this.#declared.has(name));
    return { all: [...recorded, ...format(undeclared)], recorded };
  }
}
