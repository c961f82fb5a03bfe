import { describe, expect, it } from 'vitest';
import { ConflictError } from '../base/errors.ts';
import { answerOf } from './http-status.ts';

describe('answerOf', () => {
  it('takes the status of the outermost classified error', () => {
    const error = new Error('cannot remove: in use', { cause: new ConflictError('in use') });
    expect(answerOf(error)).toEqual({
      status: 409,
      message: 'cannot remove: in use',
      isClassified: true,
    });
  });

  it('says plainly what the machine has run out of', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
    });
    expect(answerOf(full)).toEqual({
      status: 500,
      message: 'the engine cannot store its data: no space left on device',
      isClassified: true,
    });
  });

  it('marks what nobody foresaw', () => {
    expect(answerOf(new TypeError('x is undefined'))).toMatchObject({ isClassified: false });
  });
});
