import { describe, expect, it } from 'vitest';
import { parseFilters } from '../api/filters.ts';
import type { EventMessage, EventQuery } from './contract.ts';
import { MemoryEventLog } from './memory-event-log.ts';

const past = async (log: MemoryEventLog, query: EventQuery): Promise<string[]> => {
  const actions: string[] = [];
  for await (const event of log.subscribe(query)) {
    actions.push(event.Action);
  }
  return actions;
};

/** A log whose clock is past every `until`, so that reading ends with the history. */
const historyOf = (count: number): MemoryEventLog => {
  let ms = 0;
  const log = new MemoryEventLog(() => (ms += 1000));
  for (let i = 0; i < count; i += 1) {
    log.publish({
      type: 'container',
      action: `a${i}`,
      id: `id${i}`,
      attributes: { name: `n${i}` },
    });
  }
  return log;
};

describe('subscribe', () => {
  it('hands over history and then live events without a gap', async () => {
    const log = new MemoryEventLog();
    log.publish({ type: 'volume', action: 'create', id: 'one' });
    const abort = new AbortController();
    const got: string[] = [];
    const reading = (async () => {
      for await (const event of log.subscribe({ sinceNs: 0n, signal: abort.signal })) {
        got.push(event.Actor.ID);
        if (got.length === 3) {
          abort.abort();
        }
      }
    })();
    log.publish({ type: 'volume', action: 'create', id: 'two' });
    await Promise.resolve();
    log.publish({ type: 'volume', action: 'create', id: 'three' });
    await reading;
    expect(got).toEqual(['one', 'two', 'three']);
    expect(log.listenerCount).toBe(0);
  });

  it('gives no history without since', async () => {
    const log = new MemoryEventLog();
    log.publish({ type: 'volume', action: 'create', id: 'old' });
    const iterator = log.subscribe({})[Symbol.asyncIterator]();
    log.publish({ type: 'volume', action: 'create', id: 'new' });
    expect((await iterator.next()).value).toMatchObject({ Actor: { ID: 'new' } });
    expect(log.listenerCount).toBe(1);
    await iterator.return?.();
    expect(log.listenerCount).toBe(0);
  });

  it('keeps the last thousand and honours since and until', async () => {
    const log = historyOf(1200);
    const kept = await past(log, { sinceNs: 0n, untilNs: 1_200_000_000_000n });
    expect(kept.at(0)).toBe('a200');
    expect(kept.at(-1)).toBe('a1199');
    expect(await past(log, { sinceNs: 1_199_000_000_000n, untilNs: 1_200_000_000_000n })).toEqual([
      'a1198',
      'a1199',
    ]);
  });

  it('ends when the time of until comes', async () => {
    const log = new MemoryEventLog();
    const untilNs = BigInt(Date.now() + 20) * 1_000_000n;
    const events: EventMessage[] = [];
    for await (const event of log.subscribe({ untilNs })) {
      events.push(event);
    }
    expect(events).toEqual([]);
    expect(log.listenerCount).toBe(0);
  });

  it('cuts off a reader that does not read', async () => {
    const log = new MemoryEventLog();
    const events = log.subscribe({});
    for (let i = 0; i < 10_050; i += 1) {
      log.publish({ type: 'volume', action: 'mount', id: `v${i}` });
    }
    let count = 0;
    for await (const event of events) {
      count += event.Action === 'mount' ? 1 : 0;
    }
    expect(count).toBe(10_000);
  });
});

describe('publish', () => {
  it('stamps strictly rising times and the legacy fields of containers and images', async () => {
    const log = new MemoryEventLog(() => 5);
    log.publish({ type: 'container', action: 'start', id: 'c', attributes: { image: 'busybox' } });
    log.publish({ type: 'network', action: 'create', id: 'n' });
    const events: EventMessage[] = [];
    for await (const event of log.subscribe({ sinceNs: 0n, untilNs: 5_000_001n })) {
      events.push(event);
      if (events.length === 2) {
        break;
      }
    }
    expect(events[0]).toEqual({
      status: 'start',
      id: 'c',
      from: 'busybox',
      Type: 'container',
      Action: 'start',
      Actor: { ID: 'c', Attributes: { image: 'busybox' } },
      scope: 'local',
      time: 0,
      timeNano: 5_000_000n,
    });
    expect(events[1]).toEqual({
      Type: 'network',
      Action: 'create',
      Actor: { ID: 'n', Attributes: {} },
      scope: 'local',
      time: 0,
      timeNano: 5_000_001n,
    });
  });
});

describe('filters', () => {
  const actionsFor = async (filters: string): Promise<string[]> => {
    let ms = 1;
    const log = new MemoryEventLog(() => ms++);
    log.publish({
      type: 'container',
      action: 'start',
      id: 'abcdef',
      attributes: { name: 'web', image: 'localhost:5000/nginx:1', app: 'x' },
    });
    log.publish({
      type: 'container',
      action: 'exec_create: sh',
      id: 'abcdef',
      attributes: { name: 'web' },
    });
    log.publish({ type: 'image', action: 'pull', id: 'nginx:1', attributes: { name: 'nginx' } });
    log.publish({ type: 'volume', action: 'mount', id: 'data' });
    const actions: string[] = [];
    for await (const event of log.subscribe({
      sinceNs: 0n,
      untilNs: 5_000_000n,
      filters: parseFilters(filters),
    })) {
      actions.push(event.Action);
    }
    return actions;
  };

  it.each([
    ['{"type":["container"]}', ['start', 'exec_create: sh']],
    ['{"container":["abc"]}', ['start', 'exec_create: sh']],
    ['{"container":["we"]}', ['start', 'exec_create: sh']],
    ['{"event":["exec_create"]}', ['exec_create: sh']],
    ['{"event":["exec"]}', []],
    ['{"image":["nginx"]}', ['pull']],
    ['{"image":["localhost:5000/nginx"]}', ['start']],
    ['{"label":["app=x"]}', ['start']],
    ['{"type":["container","volume"],"event":["mount","start"]}', ['start', 'mount']],
    ['{"scope":["swarm"]}', []],
  ])('%s', async (filters, expected) => {
    expect(await actionsFor(filters)).toEqual(expected);
  });
});
