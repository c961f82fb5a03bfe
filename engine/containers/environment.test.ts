import { describe, expect, it } from 'vitest';
import { mergeEnvironment } from './environment.ts';
import { nextHealth, type Probe, probeOf } from './health.ts';
import { formatTimeNs } from './times.ts';

describe('environment', () => {
  it('later values replace earlier ones in place', () => {
    expect(mergeEnvironment(['A=1', 'B=2'], ['A=3', 'C=4'])).toEqual(['A=3', 'B=2', 'C=4']);
  });

  it('a bare name removes', () => {
    expect(mergeEnvironment(['A=1', 'B=2'], ['A', 'NEVER'])).toEqual(['B=2']);
  });

  it('values may hold anything', () => {
    expect(mergeEnvironment([], ['A=b=c d', 'E='])).toEqual(['A=b=c d', 'E=']);
  });
});

describe('healthcheck settings', () => {
  it.each([
    [undefined],
    [{ Test: [] }],
    [{ Test: ['NONE'] }],
    [{ Test: ['CMD'] }],
    [{ Test: ['ODD', 'x'] }],
  ])('%j is none', (Healthcheck) => {
    expect(probeOf(Healthcheck === undefined ? {} : { Healthcheck })).toBeUndefined();
  });

  it('has Docker defaults', () => {
    expect(probeOf({ Healthcheck: { Test: ['CMD', 'check', '-q'] } })).toEqual({
      cmd: ['check', '-q'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5000,
      retries: 3,
    });
  });

  it('a line runs in the shell of the image', () => {
    const Healthcheck = { Test: ['CMD-SHELL', 'curl -f http://x || exit 1'] };
    expect(probeOf({ Healthcheck })?.cmd.slice(0, 2)).toEqual(['/bin/sh', '-c']);
    expect(probeOf({ Healthcheck, Shell: ['/bin/bash', '-ec'] })?.cmd[0]).toBe('/bin/bash');
  });
});

describe('health', () => {
  const startedNs = 1_700_000_000_000_000_000n;
  const probe: Probe = {
    cmd: [],
    intervalMs: 1000,
    timeoutMs: 1000,
    startPeriodMs: 10_000,
    startIntervalMs: 1000,
    retries: 2,
  };
  const fresh = { Status: 'starting' as const, FailingStreak: 0, Log: [] };
  const result = (exitCode: number, afterMs: number) => ({
    Start: formatTimeNs(startedNs + BigInt(afterMs) * 1_000_000n),
    End: '',
    ExitCode: exitCode,
    Output: '',
  });
  const after = (state: typeof fresh, exitCode: number, afterMs: number) =>
    nextHealth(state, result(exitCode, afterMs), probe, formatTimeNs(startedNs)) as typeof fresh;

  it('failures in the start period do not count', () => {
    expect(after(fresh, 1, 5000)).toMatchObject({ Status: 'starting', FailingStreak: 0 });
    expect(after(fresh, 1, 15_000)).toMatchObject({ Status: 'starting', FailingStreak: 1 });
  });

  it('a success ends the start period', () => {
    const healthy = after(fresh, 0, 100);
    expect(healthy).toMatchObject({ Status: 'healthy' });
    expect(after(healthy, 1, 200)).toMatchObject({ Status: 'healthy', FailingStreak: 1 });
  });

  it('enough failures in a row make it unhealthy, one success healthy again', () => {
    const failed = after(after(fresh, 1, 20_000), 1, 21_000);
    expect(failed).toMatchObject({ Status: 'unhealthy', FailingStreak: 2 });
    expect(after(failed, 0, 22_000)).toMatchObject({ Status: 'healthy', FailingStreak: 0 });
  });

  it('keeps five results', () => {
    let state = fresh;
    for (let index = 0; index < 9; index += 1) {
      state = after(state, index % 2, 20_000 + index);
    }
    expect(state.Log.length).toBe(5);
  });
});
