import { describe, expect, it } from 'vitest';
import { parseCpuList } from './create/limits.ts';
import { parseLink } from './create/links.ts';
import { logLimits, parseSize, resolveLogConfig } from './create/log-config.ts';
import { generateName, validateName } from './names.ts';
import { RestartBackoff, startsWithEngine, validateRestartPolicy } from './restart-policy.ts';
import { classifyRuntimeMessage } from './runtime-errors.ts';
import { parseSignal } from './signals.ts';
import { formatTimeNs, humanDuration, parseTimeNs, ZERO_TIME } from './times.ts';

describe('names', () => {
  it.each(['web', '/web', 'a1', 'A_b.c-d', '0x'])('accepts %s', (name) => {
    expect(validateName(name)).toBe(name.replace(/^\//, ''));
  });

  it.each(['a', '-web', 'we b', 'web/db', '', '.x'])('refuses %j', (name) => {
    expect(() => validateName(name)).toThrow(
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  });

  it('made up ones are valid and free', () => {
    const taken = new Set<string>();
    for (let count = 0; count < 500; count += 1) {
      const name = generateName((candidate) => taken.has(candidate));
      expect(validateName(name)).toBe(name);
      expect(taken.has(name)).toBe(false);
      taken.add(name);
    }
  });
});

describe('restart policy', () => {
  const ended = { exitCode: 1, isManuallyStopped: false, durationMs: 50 };

  it('no: stays down', () => {
    expect(new RestartBackoff().decide({ Name: 'no' }, ended)).toEqual({ kind: 'stay-down' });
    expect(new RestartBackoff().decide(undefined, ended)).toEqual({ kind: 'stay-down' });
  });

  it('doubles the pause from 100 ms up to a minute', () => {
    const backoff = new RestartBackoff();
    const delays = Array.from({ length: 12 }, () => {
      const decision = backoff.decide({ Name: 'always' }, { ...ended, exitCode: 0 });
      return decision.kind === 'restart' ? decision.delayMs : 0;
    });
    expect(delays.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(delays.at(-1)).toBe(60_000);
  });

  it('a run of ten seconds resets the pause', () => {
    const backoff = new RestartBackoff();
    backoff.decide({ Name: 'always' }, ended);
    backoff.decide({ Name: 'always' }, ended);
    const decision = backoff.decide({ Name: 'always' }, { ...ended, durationMs: 10_000 });
    expect(decision).toEqual({ kind: 'restart', delayMs: 100 });
  });

  it('on-failure: counts, and leaves a success alone', () => {
    const backoff = new RestartBackoff();
    const policy = { Name: 'on-failure', MaximumRetryCount: 2 };
    expect(backoff.decide(policy, ended).kind).toBe('restart');
    expect(backoff.decide(policy, ended).kind).toBe('restart');
    expect(backoff.decide(policy, ended).kind).toBe('stay-down');
    expect(new RestartBackoff().decide(policy, { ...ended, exitCode: 0 }).kind).toBe('stay-down');
  });

  it.each(['always', 'unless-stopped', 'on-failure'])('%s: a stop by hand is final', (Name) => {
    const run = { ...ended, isManuallyStopped: true };
    expect(new RestartBackoff().decide({ Name }, run).kind).toBe('stay-down');
  });

  it.each([
    ['always', true, 0, true],
    ['unless-stopped', true, 0, false],
    ['unless-stopped', false, 0, true],
    ['on-failure', false, 1, true],
    ['on-failure', false, 0, false],
    ['no', false, 1, false],
  ])('%s with manual stop %s and exit %i starts with the engine: %s', (Name, stopped, code, is) => {
    expect(startsWithEngine({ Name }, { isManuallyStopped: stopped, exitCode: code })).toBe(is);
  });

  it.each([
    [
      { Name: 'sometimes' },
      "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    ],
    [
      { Name: 'always', MaximumRetryCount: 3 },
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ],
    [
      { Name: 'always', MaximumRetryCount: -1 },
      "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative",
    ],
    [
      { Name: 'on-failure', MaximumRetryCount: -1 },
      'invalid restart policy: maximum retry count cannot be negative',
    ],
  ])('refuses %j', (policy, message) => {
    expect(() => validateRestartPolicy(policy)).toThrow(message);
  });
});

describe('signals', () => {
  it.each([
    ['KILL', 9],
    ['SIGTERM', 15],
    ['sigint', 2],
    ['9', 9],
    ['RTMIN+3', 37],
    ['SIGRTMAX-14', 50],
  ])('%s is %i', (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });

  it.each(['0', '-1', '65', 'NOPE', ''])('refuses %j', (text) => {
    expect(() => parseSignal(text)).toThrow(`invalid signal: ${text}`);
  });
});

describe('times', () => {
  it('prints nanoseconds without trailing zeros', () => {
    expect(formatTimeNs(1_700_000_000_123_456_789n)).toBe('2023-11-14T22:13:20.123456789Z');
    expect(formatTimeNs(1_700_000_000_120_000_000n)).toBe('2023-11-14T22:13:20.12Z');
    expect(formatTimeNs(1_700_000_000_000_000_000n)).toBe('2023-11-14T22:13:20Z');
  });

  it('reads back what it printed', () => {
    for (const time of [1_700_000_000_123_456_789n, 1_700_000_000_000_000_001n, 0n]) {
      expect(parseTimeNs(formatTimeNs(time))).toBe(time);
    }
    expect(parseTimeNs(ZERO_TIME)).toBeUndefined();
    expect(parseTimeNs('yesterday')).toBeUndefined();
  });

  it.each([
    [400, 'Less than a second'],
    [1000, '1 second'],
    [59_000, '59 seconds'],
    [60_000, 'About a minute'],
    [150_000, '2 minutes'],
    [3_600_000, 'About an hour'],
    [7_200_000, '2 hours'],
    [3 * 86_400_000, '3 days'],
    [21 * 86_400_000, '3 weeks'],
    [90 * 86_400_000, '3 months'],
    [3 * 365 * 86_400_000, '3 years'],
  ])('%i ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

describe('log configuration', () => {
  const fallback = { Type: 'json-file', Config: { 'max-size': '10m' } };

  it('falls back to the engine, options included', () => {
    expect(resolveLogConfig(undefined, fallback)).toEqual(fallback);
    expect(resolveLogConfig({ Type: 'none' }, fallback)).toEqual({ Type: 'none', Config: {} });
  });

  it.each([
    [{ Type: 'carrier-pigeon' }, "logger: no log driver named 'carrier-pigeon' is registered"],
    [{ Type: 'syslog' }, "log driver 'syslog' is not available"],
    [
      { Type: 'json-file', Config: { nope: '1' } },
      "unknown log opt 'nope' for json-file log driver",
    ],
    [{ Type: 'json-file', Config: { 'max-size': 'big' } }, "invalid size: 'big'"],
    [{ Type: 'json-file', Config: { 'max-file': '0' } }, 'max-file cannot be less than 1'],
  ])('refuses %j', (own, message) => {
    expect(() => resolveLogConfig(own, { Type: 'json-file', Config: {} })).toThrow(message);
  });

  it('local rotates by itself', () => {
    expect(logLimits({ Type: 'local' })).toEqual({ maxSizeBytes: 20 * 2 ** 20, maxFiles: 5 });
    expect(logLimits({ Type: 'json-file' })).toEqual({ maxSizeBytes: undefined, maxFiles: 1 });
  });

  it.each([
    ['10', 10],
    ['10k', 10_240],
    ['1.5g', 1.5 * 2 ** 30],
    ['64MiB', 64 * 2 ** 20],
    ['5mb', 5 * 2 ** 20],
    ['x', undefined],
  ])('size %s is %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe('small forms', () => {
  it.each([
    ['0', [0]],
    ['0-2,5', [0, 1, 2, 5]],
    ['2-1', undefined],
    ['a', undefined],
    ['0-99999999', undefined],
  ])('cpu list %s', (text, numbers) => {
    expect(parseCpuList(text)).toEqual(numbers);
  });

  it('links', () => {
    expect(parseLink('db:database')).toEqual({ ref: 'db', alias: 'database' });
    expect(parseLink('db')).toEqual({ ref: 'db', alias: 'db' });
    expect(parseLink('/db:/web/database')).toEqual({ ref: 'db', alias: 'database' });
    expect(() => parseLink('a:b:c')).toThrow('bad format for links: a:b:c');
  });
});

describe('messages of the OCI runtime', () => {
  it.each([
    [
      'unable to start container process: exec: "x": executable file not found in $PATH',
      127,
      'invalid-parameter',
    ],
    [
      'unable to start container process: exec: "/x": stat /x: no such file or directory',
      127,
      'invalid-parameter',
    ],
    [
      'unable to start container process: exec: "/etc/passwd": permission denied',
      126,
      'invalid-parameter',
    ],
    ['unable to start container process: exec: "/etc": is a directory', 126, 'invalid-parameter'],
    ['unable to apply cgroup configuration: device busy', 128, 'system'],
  ])('%s', (message, exitCode, code) => {
    const failure = classifyRuntimeMessage('create', message);
    expect(failure.exitCode).toBe(exitCode);
    expect(failure.error.code).toBe(code);
    expect(failure.error.message).toContain(
      `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ${message}: unknown`,
    );
  });
});
