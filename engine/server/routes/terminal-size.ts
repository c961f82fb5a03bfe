import { InvalidParameterError } from '../../base/errors.ts';
import type { Query } from '../query.ts';

const MAX_UINT32 = 0xff_ff_ff_ff;

function side(query: Query, name: string, word: string): number {
  const value = query.text(name);
  if (!/^\d{1,10}$/.test(value) || Number(value) > MAX_UINT32) {
    const reason = /^-?\d+$/.test(value) ? 'value out of range' : 'invalid syntax';
    throw new InvalidParameterError(`invalid resize ${word} ${JSON.stringify(value)}: ${reason}`);
  }
  return Number(value);
}

/** Size of a terminal from the parameters `h` and `w`. @throws InvalidParameterError */
export function terminalSize(query: Query): { readonly rows: number; readonly columns: number } {
  return { rows: side(query, 'h', 'height'), columns: side(query, 'w', 'width') };
}
