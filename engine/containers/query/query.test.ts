import { describe, expect, it } from 'vitest';
import { absolutePath } from '../files/archive.ts';
import { FakeEngine } from '../testing/fake-engine.ts';
import { matchesLabels, parseGoDuration, untilMs } from './filters.ts';
import { parseNetDev } from './stats.ts';
import { commandText } from './summary.ts';
import { parsePs } from './top.ts';

async function names(
  engine: FakeEngine,
  filters: Record<string, string[]>,
  isAll = true,
): Promise<string[]> {
  const rows = await engine.containers.list({
    isAll,
    withSizes: false,
    filters: new Map(Object.entries(filters)),
  });
  return rows.map((row) => row.Names[0]?.slice(1) ?? '');
}

async function threeContainers(): Promise<FakeEngine> {
  const engine = await FakeEngine.make({ networks: ['front'] });
  await engine.create(
    'web',
    { Labels: { tier: 'front', app: 'x' }, ExposedPorts: { '80/tcp': {} } },
    {
      NetworkMode: 'front',
      PortBindings: { '80/tcp': [{ HostPort: '8080' }] },
    },
  );
  await engine.create('db', { Labels: { tier: 'back' } }, { Binds: ['data:/var/lib'] });
  await engine.create('job');
  await engine.containers.start('web');
  await engine.containers.start('job');
  const gone = await engine.containers.wait('job', { condition: 'not-running' });
  engine.shims.runOf(engine.containers.resolve('job')).end(2);
  await gone.result;
  return engine;
}

describe('list', () => {
  it('shows running ones, or all, newest first', async () => {
    await using engine = await threeContainers();
    expect(await names(engine, {}, false)).toEqual(['web']);
    expect(await names(engine, {})).toEqual(['job', 'db', 'web']);
  });

  it.each<[Record<string, string[]>, string[]]>([
    [{ name: ['we'] }, ['web']],
    [{ name: ['^/db$'] }, ['db']],
    [{ status: ['created'] }, ['db']],
    [{ status: ['exited', 'running'] }, ['job', 'web']],
    [{ exited: ['2'] }, ['job']],
    [{ label: ['tier'] }, ['db', 'web']],
    [{ label: ['tier=front', 'app'] }, ['web']],
    [{ ancestor: ['busybox'] }, ['job', 'db', 'web']],
    [{ ancestor: ['nope'] }, []],
    [{ volume: ['data'] }, ['db']],
    [{ volume: ['/var/lib'] }, ['db']],
    [{ network: ['front'] }, ['web']],
    [{ publish: ['8080'] }, ['web']],
    [{ expose: ['79-81/tcp'] }, ['web']],
    [{ before: ['db'] }, ['web']],
    [{ since: ['db'] }, ['job']],
    [{ health: ['none'] }, ['job', 'db', 'web']],
    [{ 'is-task': ['true'] }, []],
  ])('%j finds %j', async (filters, expected) => {
    await using engine = await threeContainers();
    expect(await names(engine, filters)).toEqual(expected);
  });

  it.each<[Record<string, string[]>, string]>([
    [{ odd: ['x'] }, "invalid filter 'odd'"],
    [{ status: ['dancing'] }, "invalid filter 'status=dancing'"],
    [{ exited: ['x'] }, "invalid filter 'exited=x'"],
    [{ health: ['x'] }, "invalid filter 'health=x'"],
    [{ publish: ['1:2'] }, "filter for 'publish' should not contain ':': 1:2"],
    [{ before: ['nope'] }, 'No such container: nope'],
  ])('%j is refused', async (filters, message) => {
    await using engine = await threeContainers();
    await expect(names(engine, filters)).rejects.toThrow(message);
  });

  it('a row is complete', async () => {
    await using engine = await threeContainers();
    const [row] = await engine.containers.list({
      isAll: false,
      withSizes: true,
      filters: new Map(),
    });
    expect(row).toMatchObject({
      Names: ['/web'],
      Image: 'busybox',
      Command: 'sh',
      State: 'running',
      Labels: { tier: 'front', app: 'x' },
      Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
      HostConfig: { NetworkMode: 'front' },
      SizeRw: 1024,
    });
    expect(row?.Status).toMatch(/^Up /);
    expect(row?.NetworkSettings.Networks['front']?.IPAddress).toMatch(/^172\.17\./);
  });

  it('limit shows the newest whatever their state', async () => {
    await using engine = await threeContainers();
    const rows = await engine.containers.list({
      isAll: false,
      withSizes: false,
      limit: 2,
      filters: new Map(),
    });
    expect(rows.map((row) => row.Names[0])).toEqual(['/job', '/db']);
  });
});

describe('inspect', () => {
  it('prints every member, with null where Docker has null', async () => {
    await using engine = await threeContainers();
    const web = await engine.containers.inspect('web');
    expect(web.Config).toMatchObject({
      Hostname: web.Id.slice(0, 12),
      Image: 'busybox',
      Cmd: ['sh'],
      Entrypoint: null,
      Volumes: null,
      OnBuild: null,
      Tty: false,
    });
    expect(web.HostConfig).toMatchObject({
      Binds: null,
      Memory: 0,
      CapAdd: null,
      ShmSize: 67_108_864,
      IpcMode: 'private',
      LogConfig: { Type: 'json-file', Config: {} },
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
      Runtime: 'runc',
    });
    expect(web.NetworkSettings.Ports).toEqual({
      '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }],
    });
    expect(web.NetworkSettings.Networks['front']?.DNSNames).toEqual(['web', web.Id.slice(0, 12)]);
    expect(web.Name).toBe('/web');
  });

  it('after the end addresses and ports are gone, the network stays', async () => {
    await using engine = await threeContainers();
    await engine.containers.stop('web');
    const { NetworkSettings } = await engine.containers.inspect('web');
    expect(NetworkSettings.Ports).toEqual({});
    expect(NetworkSettings.Networks['front']).toMatchObject({ IPAddress: '', EndpointID: '' });
  });

  it('links are names of the child and variables of the parent', async () => {
    await using engine = await FakeEngine.make();
    await engine.create('db', { ExposedPorts: { '5432/tcp': {} }, Env: ['PGUSER=app'] });
    const parent = await engine.create('web', {}, { Links: ['db:database'] });
    const rows = await engine.containers.list({
      isAll: true,
      withSizes: false,
      filters: new Map(),
    });
    expect(rows.find((row) => row.Names.includes('/db'))?.Names).toEqual(['/db', '/web/database']);
    expect((await engine.containers.inspect(parent)).HostConfig.Links).toEqual([
      '/db:/web/database',
    ]);
    expect(engine.containers.resolve('web/database')).toBe(engine.containers.resolve('db'));
    await expect(engine.containers.start('web')).rejects.toThrow(
      'Cannot link to a non running container: /db AS /web/database',
    );
    await engine.containers.remove('/web/database', {
      isForced: false,
      withVolumes: false,
      isLink: true,
    });
    expect((await engine.containers.inspect(parent)).HostConfig.Links).toBeNull();
  });

  it('counts by state', async () => {
    await using engine = await threeContainers();
    expect(engine.containers.counts()).toEqual({ total: 3, running: 1, paused: 0, stopped: 2 });
  });
});

describe('filters', () => {
  it('labels by key or value', () => {
    expect(matchesLabels(['a', 'b=2'], { a: '1', b: '2' })).toBe(true);
    expect(matchesLabels(['b=3'], { b: '2' })).toBe(false);
    expect(matchesLabels(['toString'], {})).toBe(false);
  });

  it.each([
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['10', undefined],
    ['1d', undefined],
  ])('duration %s', (text, ms) => {
    expect(parseGoDuration(text)).toBe(ms);
  });

  it('until takes seconds, times and durations', () => {
    expect(untilMs(new Map([['until', ['1700000000']]]))).toBe(1_700_000_000_000);
    expect(untilMs(new Map([['until', ['2023-11-14T22:13:20Z']]]))).toBe(1_700_000_000_000);
    expect(untilMs(new Map())).toBeUndefined();
    expect(() => untilMs(new Map([['until', ['soon']]]))).toThrow('parsing time "soon"');
    expect(() => untilMs(new Map([['until', ['1', '2']]]))).toThrow(
      'more than one until filter specified',
    );
  });
});

describe('top', () => {
  const output = [
    'UID          PID    PPID  C STIME TTY          TIME CMD',
    'root           1       0  0 10:00 ?        00:00:01 init',
    'root          42       1  0 10:00 ?        00:00:01 sleep 100 and more',
    'root           -       -  0 10:00 ?        00:00:01 -',
  ].join('\n');

  it('picks rows by pid, threads included', () => {
    const { Titles, Processes } = parsePs(output, new Set([42]));
    expect(Titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
    expect(Processes.map((row) => row.at(-1))).toEqual(['sleep 100 and more', '-']);
  });

  it('needs the pid column', () => {
    expect(() => parsePs('CMD\nsh', new Set())).toThrow("Couldn't find PID field in ps output");
  });
});

describe('small forms', () => {
  it('command line', () => {
    expect(commandText('sh', ['-c', 'echo hi'])).toBe("sh -c 'echo hi'");
  });

  it('interface counters', () => {
    const text =
      'Inter-|   Receive\n face |bytes\n    lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n  eth0: 10 20 1 2 0 0 0 0 30 40 3 4 0 0 0 0\n';
    expect(parseNetDev(text)).toEqual({
      eth0: {
        rx_bytes: 10,
        rx_packets: 20,
        rx_errors: 1,
        rx_dropped: 2,
        tx_bytes: 30,
        tx_packets: 40,
        tx_errors: 3,
        tx_dropped: 4,
      },
    });
  });

  it.each([
    ['etc', '/etc'],
    ['/etc/', '/etc/'],
    ['/etc/.', '/etc/.'],
    ['.', '/.'],
    ['./', '/.'],
    ['/./', '/.'],
    ['/a/./', '/a/.'],
    ['/a/b/', '/a/b/'],
    ['/', '/'],
    ['/a/../../b', '/b'],
  ])('archive path %s is %s', (path, absolute) => {
    expect(absolutePath(path)).toBe(absolute);
  });

  it('stats: zeros before the first sample', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const samples = await engine.containers.stats(id, { isStreaming: false, isOneShot: true });
    const [sample] = await Array.fromAsync(samples);
    expect(sample).toMatchObject({
      name: '/web',
      preread: '0001-01-01T00:00:00Z',
      precpu_stats: { cpu_usage: { total_usage: 0 } },
      memory_stats: { limit: 8 * 2 ** 30 },
    });
    expect(sample?.cpu_stats.system_cpu_usage).toBeGreaterThan(0);
  });
});
