import { describe, expect, it } from 'vitest';
import { statsSchema } from '../../engine/api/client/responses.ts';
import { cpuPercent, normaliseStats } from './stats-math.ts';
import { openPage, readUntil, until } from './testing/page.ts';

const RAW = {
  read: '2026-01-02T03:04:05.5Z',
  cpu_stats: { cpu_usage: { total_usage: 300 }, system_cpu_usage: 2000, online_cpus: 4 },
  precpu_stats: { cpu_usage: { total_usage: 100 }, system_cpu_usage: 1000 },
  memory_stats: { usage: 1000, limit: 5000, stats: { inactive_file: 400 } },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: 'Read', value: 1 },
      { op: 'read', value: 2 },
      { op: 'Write', value: 5 },
    ],
  },
  pids_stats: { current: 6 },
  networks: { a: { rx_bytes: 1, tx_bytes: 2 }, b: { rx_bytes: 10, tx_bytes: 20 } },
};

describe('normaliseStats', () => {
  it('counts as docker stats does', () => {
    const result = normaliseStats('id', statsSchema.parse(RAW), undefined);
    expect(result?.sample).toEqual({
      id: 'id',
      timeMs: Date.parse('2026-01-02T03:04:05.500Z'),
      cpuPercent: 80,
      cpuCount: 4,
      memoryBytes: 600,
      memoryLimitBytes: 5000,
      netRxBytes: 11,
      netTxBytes: 22,
      blockReadBytes: 3,
      blockWriteBytes: 5,
      pids: 6,
    });
  });

  it('uses the counters of the sample before when there is one', () => {
    const before = { totalNs: 200, systemNs: 1000 };
    const result = normaliseStats('id', statsSchema.parse(RAW), before);
    expect(result?.sample.cpuPercent).toBe(40);
    expect(result?.counters).toEqual({ totalNs: 300, systemNs: 2000 });
  });

  it('reads the cgroup v1 names', () => {
    const raw = {
      ...RAW,
      memory_stats: { usage: 1000, limit: 1, stats: { total_inactive_file: 100 } },
    };
    expect(normaliseStats('id', statsSchema.parse(raw), undefined)?.sample.memoryBytes).toBe(900);
  });

  it('leaves the percentage out without an earlier sample', () => {
    const { precpu_stats: _left, ...raw } = RAW;
    void _left;
    const sample = normaliseStats('id', statsSchema.parse(raw), undefined)?.sample;
    expect(sample).not.toHaveProperty('cpuPercent');
  });

  it('has no sample for a container that does not run', () => {
    const stopped = statsSchema.parse({ read: '0001-01-01T00:00:00Z' });
    expect(normaliseStats('id', stopped, undefined)).toBeUndefined();
  });
});

describe('cpuPercent', () => {
  it('is zero after a restart set the counters back, and undefined when no time passed', () => {
    const before = { totalNs: 500, systemNs: 1000 };
    expect(cpuPercent(before, { totalNs: 10, systemNs: 2000 }, 2)).toBe(0);
    expect(cpuPercent(before, { totalNs: 600, systemNs: 1000 }, 2)).toBeUndefined();
  });
});

describe('containers.stats', () => {
  it('samples what is subscribed, follows changes of the set, and keeps history', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'one' });
      engine.addContainer({ id: 'two' });
      engine.addContainer({ id: 'idle', state: 'exited' });
    });
    const list = page.client.open('containers.list', {});
    await readUntil(list, (item) => !(item instanceof Uint8Array) && item.type === 'snapshot');
    const stream = page.client.open('containers.stats', { ids: ['one', 'idle'] });
    const first = await readUntil(
      stream,
      (item) => !(item instanceof Uint8Array) && item.samples[0]?.cpuPercent !== undefined,
    );
    expect(first).toMatchObject({ samples: [{ id: 'one', cpuPercent: 50, memoryBytes: 700 }] });
    await stream.send({ ids: ['two'] });
    await readUntil(
      stream,
      (item) => !(item instanceof Uint8Array) && item.samples.some((sample) => sample.id === 'two'),
    );
    expect(page.engine.requests).not.toContain('GET /containers/idle/stats');
    const { samples } = await page.client.call('containers.statsHistory', { id: 'one' });
    expect(samples.length).toBeGreaterThan(1);
  });

  it('asks the engine for nothing once nobody subscribes', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'one' });
    });
    const list = page.client.open('containers.list', {});
    await readUntil(list, (item) => !(item instanceof Uint8Array) && item.type === 'snapshot');
    const stream = page.client.open('containers.stats', { ids: ['one'] });
    await stream.next();
    stream.close();
    const count = (): number =>
      page.engine.requests.filter((line) => line.endsWith('/stats')).length;
    // A round under way may still end; after that the number stays.
    await until(async () => {
      const before = count();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return count() === before;
    });
  });
});
