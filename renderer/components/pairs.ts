/** A name and a value being typed; `id` is only for React. */
export interface Pair {
  readonly id: number;
  readonly name: string;
  readonly value: string;
}

let lastId = 0;

/** An id for a row being typed. */
export function newRowId(): number {
  lastId += 1;
  return lastId;
}

/** A new row. */
export function newPair(name = '', value = ''): Pair {
  return { id: newRowId(), name, value };
}

/** Rows with a name as an object; later rows win. */
export function pairsToRecord(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(
    pairs.filter((pair) => pair.name.trim() !== '').map((pair) => [pair.name.trim(), pair.value]),
  );
}
