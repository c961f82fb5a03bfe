import { describe, expect, it } from 'vitest';
import { SharedWork } from './shared-work.ts';

describe('SharedWork', () => {
  it('does work once for all that want it and tells late comers where it stands', async () => {
    const work = new SharedWork<string, number>();
    const { promise, resolve } = Promise.withResolvers<string>();
    let count = 0;
    const start = async (_signal: AbortSignal, report: (n: number) => void): Promise<string> => {
      count += 1;
      report(1);
      return await promise;
    };
    const seen: number[] = [];
    const first = work.run('key', start, {});
    const ready = Promise.withResolvers<void>();
    const second = work.run('key', start, {
      onProgress: (n) => {
        seen.push(n);
        ready.resolve();
      },
    });
    await ready.promise;
    resolve('done');
    expect(await Promise.all([first, second])).toEqual(['done', 'done']);
    expect(count).toBe(1);
    expect(seen).toEqual([1]);
    expect(await work.run('key', async () => 'again', {})).toBe('again');
  });

  it('goes on when one caller leaves and stops when the last one does', async () => {
    const work = new SharedWork<string, number>();
    const aborted = Promise.withResolvers<void>();
    const running = Promise.withResolvers<void>();
    const start = (signal: AbortSignal): Promise<string> => {
      running.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve();
          reject(new Error('stopped'));
        });
      });
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const first = work.run('key', start, { signal: one.signal });
    const second = work.run('key', start, { signal: two.signal });
    await running.promise;
    one.abort(new Error('first left'));
    await expect(first).rejects.toThrow('first left');
    two.abort(new Error('second left'));
    await expect(second).rejects.toThrow('second left');
    await aborted.promise;
  });

  it('a caller that joined does it itself when it fails for the one who started', async () => {
    const work = new SharedWork<string, number>();
    const gate = Promise.withResolvers<void>();
    const first = work.run(
      'key',
      async () => {
        await gate.promise;
        throw new Error('wrong credentials');
      },
      {},
    );
    const second = work.run('key', async () => 'mine', {});
    gate.resolve();
    await expect(first).rejects.toThrow('wrong credentials');
    expect(await second).toBe('mine');
  });
});
