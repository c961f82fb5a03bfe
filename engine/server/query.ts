import { type Filters, parseFilters } from '../api/filters.ts';
import { InvalidParameterError } from '../base/errors.ts';

const FALSE_WORDS = new Set(['', '0', 'no', 'false', 'none']);

/** Query parameters, read as Docker reads them. */
export class Query {
  readonly #values: URLSearchParams;

  /**
   * @param text  without the question mark
   * @throws InvalidParameterError  a percent sign that encodes nothing
   */
  constructor(text: string) {
    const bad = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(text);
    if (bad !== null) {
      throw new InvalidParameterError(`invalid URL escape ${JSON.stringify(bad[0])}`);
    }
    this.#values = new URLSearchParams(text);
  }

  /** First value; '' when absent. */
  text(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** First value; undefined when absent or empty. */
  find(name: string): string | undefined {
    return this.text(name) || undefined;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  all(name: string): string[] {
    return this.#values.getAll(name);
  }

  /** Truth value: everything but '', 0, no, false, none is true; `otherwise` when absent. */
  flag(name: string, otherwise = false): boolean {
    if (!this.has(name)) {
      return otherwise;
    }
    return !FALSE_WORDS.has(this.text(name).trim().toLowerCase());
  }

  /** Whole number; undefined when absent or empty. @throws InvalidParameterError */
  int(name: string): number | undefined {
    const text = this.text(name);
    if (text === '') {
      return undefined;
    }
    if (!/^[+-]?\d{1,15}$/.test(text)) {
      throw new InvalidParameterError(
        `invalid value for ${name}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
      );
    }
    return Number(text);
  }

  /** The `filters` parameter. @throws InvalidParameterError */
  filters(): Filters {
    return parseFilters(this.text('filters'));
  }

  /** JSON in a parameter; undefined when absent. @throws InvalidParameterError */
  json(name: string, subject: string): unknown {
    const text = this.text(name);
    if (text === '') {
      return undefined;
    }
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new InvalidParameterError(`${subject}: invalid JSON in parameter ${name}`, { cause });
    }
  }
}
