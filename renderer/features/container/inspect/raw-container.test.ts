import { describe, expect, it } from 'vitest';
import { at, portsOf, textsAt, timeAt } from './raw-container.ts';

const raw = {
  State: { StartedAt: '2026-11-21T10:00:00.5Z', FinishedAt: '0001-01-01T00:00:00Z' },
  Config: { Env: ['A=1', 2], Labels: null },
  NetworkSettings: {
    Ports: {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '443/tcp': null,
    },
  },
};

describe('raw JSON', () => {
  it('is followed as far as it goes', () => {
    expect(at(raw, 'State', 'StartedAt')).toBe('2026-11-21T10:00:00.5Z');
    expect(at(raw, 'Config', 'Labels', 'x')).toBeUndefined();
    expect(at(raw, 'Config', 'Env', '0')).toBeUndefined();
    expect(textsAt(raw, 'Config', 'Env')).toEqual(['A=1']);
  });

  it('has no time where the engine writes its zero time', () => {
    expect(timeAt(raw, 'State', 'StartedAt')).toBe(Date.UTC(2026, 10, 21, 10, 0, 0, 500));
    expect(timeAt(raw, 'State', 'FinishedAt')).toBeUndefined();
    expect(timeAt(raw, 'State', 'Nothing')).toBeUndefined();
  });
});

describe('portsOf', () => {
  it('lists every address, and exposed ports without one', () => {
    expect(portsOf(raw)).toEqual([
      { container: '80/tcp', host: '0.0.0.0:8080' },
      { container: '80/tcp', host: '[::]:8080' },
      { container: '443/tcp', host: '' },
    ]);
  });
});
