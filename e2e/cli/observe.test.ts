import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine } from './leftovers.ts';
import { openSession, words } from './session.ts';

let engine: TestEngine;
let docker: Docker;

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
  await docker.ok(['load', '-qi', await webArchive()]);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

async function names(...flags: string[]): Promise<string[]> {
  const text = await docker.ok(['ps', '-a', '--format', '{{.Names}}', ...flags]);
  return text.split('\n').filter(Boolean).toSorted();
}

describe('docker logs', () => {
  it('shows both streams, the tail, times, and follows to the end', async () => {
    await docker.ok(
      words(
        'run -d -i --name talk busybox sh -c',
        'for i in 1 2 3 4; do echo out $i; sleep 0.1; done; read x; echo err >&2; read x; echo "more $x"; printf partial',
      ),
    );
    await using input = openSession(docker, ['attach', 'talk']);
    await waitFor('the first lines', async () =>
      (await docker(['logs', 'talk'])).stdout.includes('out 4'),
    );
    input.write('go on\n');
    await waitFor('the other stream', async () => (await docker(['logs', 'talk'])).stderr !== '');
    expect(await docker(['logs', 'talk'])).toMatchObject({
      stdout: 'out 1\nout 2\nout 3\nout 4\n',
      stderr: 'err\n',
    });
    const tail = await docker(['logs', '--tail', '2', 'talk']);
    expect(tail.stdout + tail.stderr).toBe('out 4\nerr\n');
    expect((await docker(['logs', '-n', '0', 'talk'])).stdout).toBe('');
    const stamped = (await docker.ok(['logs', '-t', 'talk'])).split('\n').map((line) => {
      const [time = '', ...rest] = line.split(' ');
      return { time, text: `${rest.join(' ')}\n` };
    });
    expect(stamped.map(({ text }) => text).join('')).toBe('out 1\nout 2\nout 3\nout 4\n');
    for (const { time } of stamped) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    }
    // Lines that were read at once have one time.
    const since = stamped[2]?.time ?? '';
    const selected = (isWanted: (time: string) => boolean): string =>
      stamped
        .filter(({ time }) => isWanted(time))
        .map(({ text }) => text)
        .join('');
    expect((await docker(['logs', '--since', since, 'talk'])).stdout).toBe(
      selected((time) => time >= since),
    );
    expect((await docker(['logs', '--until', since, 'talk'])).stdout).toBe(
      selected((time) => time <= since),
    );
    expect((await docker(['logs', '--since', '2090-01-01', 'talk'])).stdout).toBe('');
    await using follow = openSession(docker, ['logs', '-f', '--tail', '1', 'talk']);
    await using later = openSession(docker, ['logs', '-f', '--since', since, 'talk']);
    await waitFor('the kept line', () => follow.stderr.includes('err'));
    await later.sees('out 4');
    input.write('to come\n');
    await follow.sees('more to come\n');
    expect(await follow.exited()).toBe(0);
    expect(await later.exited()).toBe(0);
    expect(follow.stdout).toBe('more to come\npartial');
    expect(later.stdout).toBe(`${selected((time) => time >= since)}more to come\npartial`);
    await docker.ok(['rm', 'talk']);
    expect((await docker(['logs', 'talk'])).stderr).toContain('No such container: talk');
  });

  it('obeys the log driver and its options', async () => {
    await docker.ok(
      words(
        'run --name rotated --log-opt max-size=10k --log-opt max-file=2 busybox sh -c',
        'for i in $(seq 2000); do echo "line $i"; done',
      ),
    );
    const lines = (await docker.ok(['logs', 'rotated'])).split('\n');
    expect(lines.at(-1)).toBe('line 2000');
    expect(lines.length).toBeLessThan(1000);
    expect(lines.length).toBeGreaterThan(50);
    await docker.ok(['run', '--name', 'silent', '--log-driver', 'none', 'busybox', 'echo', 'x']);
    const refused = await docker(['logs', 'silent']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('configured logging driver does not support reading');
    await docker.ok(['rm', 'rotated', 'silent']);
  });

  it('gives a million bytes of one line whole', async () => {
    await docker.ok([
      'run',
      '--name',
      'long',
      'busybox',
      'sh',
      '-c',
      'head -c 1000000 /dev/zero | tr "\\0" x; echo',
    ]);
    const text = await docker.ok(['logs', 'long'], { maxOutputBytes: 4_000_000 });
    expect(text.length).toBe(1_000_000);
    await docker.ok(['rm', 'long']);
  });
});

describe('docker ps', () => {
  it('filters, formats, limits and counts', async () => {
    await docker.ok(['run', '-d', '--name', 'web-1', '-p', '127.0.0.1::80', '-l', 'tier=a', 'web']);
    await docker.ok([
      'run',
      '-d',
      '--name',
      'base-1',
      '-l',
      'tier=b',
      '-v',
      'vol:/v',
      'busybox',
      'sleep',
      '1000',
    ]);
    await docker.ok(['create', '--name', 'never-ran', '-l', 'tier=b', 'busybox']);
    await docker(['run', '--name', 'failed-3', 'busybox', 'sh', '-c', 'exit 3']);
    const table: readonly [string, string[]][] = [
      ['status=running', ['base-1', 'web-1']],
      ['status=exited', ['failed-3']],
      ['status=created', ['never-ran']],
      ['exited=3', ['failed-3']],
      ['label=tier', ['base-1', 'never-ran', 'web-1']],
      ['label=tier=b', ['base-1', 'never-ran']],
      ['name=^/?web', ['web-1']],
      ['name=1', ['base-1', 'web-1']],
      ['ancestor=web', ['web-1']],
      ['ancestor=busybox:latest', ['base-1', 'failed-3', 'never-ran']],
      ['volume=vol', ['base-1']],
      ['volume=/v', ['base-1']],
      ['network=bridge', ['base-1', 'failed-3', 'never-ran', 'web-1']],
      ['expose=80', ['web-1']],
      ['publish=80', []],
      ['before=base-1', ['web-1']],
      ['since=base-1', ['failed-3', 'never-ran']],
      ['health=none', ['base-1', 'failed-3', 'never-ran', 'web-1']],
      ['is-task=false', ['base-1', 'failed-3', 'never-ran', 'web-1']],
    ];
    for (const [filter, expected] of table) {
      expect(await names('--filter', filter), filter).toEqual(expected);
    }
    expect((await docker(['ps', '--filter', 'nosuch=1'])).stderr).toMatch(
      /invalid filter '?nosuch/i,
    );
    expect(await names('-n', '1')).toEqual(['failed-3']);
    expect(
      await docker.ok([
        'ps',
        '--format',
        '{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}|{{.Ports}}',
        '-f',
        'name=web-1',
      ]),
    ).toMatch(/^web-1\|web\|"httpd -f -p 80 -h \/…"\|running\|127\.0\.0\.1:\d+->80\/tcp$/);
    expect(await docker.ok(['ps', '-a', '-f', 'name=failed-3', '--format', '{{.Status}}'])).toMatch(
      /^Exited \(3\) /,
    );
    expect(await docker.ok(['ps', '-s', '-f', 'name=base-1', '--format', '{{.Size}}'])).toMatch(
      /^\d+B \(virtual \d\.\d+MB\)$/,
    );
    expect(
      await docker.ok(['ps', '--format', '{{.Mounts}} {{.Networks}}', '-f', 'name=base-1']),
    ).toBe('vol bridge');
  });

  it('port, top, stats, inspect and diff tell of the running ones', async () => {
    const port = await docker.ok(['port', 'web-1']);
    expect(port).toMatch(/^80\/tcp -> 127\.0\.0\.1:\d+$/);
    expect(await docker.ok(['port', 'web-1', '80'])).toBe(port.split(' ').at(-1));
    expect((await docker(['port', 'web-1', '81'])).exitCode).toBe(1);
    expect(await docker.ok(['top', 'base-1'])).toMatch(
      /^UID\s+PID\s+PPID[^\n]*CMD\n[^\n]*sleep 1000$/,
    );
    expect(await docker.ok(['top', 'base-1', '-o', 'pid,args'])).toMatch(
      /^PID\s+COMMAND\n\d+\s+sleep 1000$/,
    );
    const stats = await docker.ok(
      words(
        'stats --no-stream --format {{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.PIDs}} web-1 base-1',
      ),
    );
    expect(stats.split('\n').toSorted()).toEqual([
      expect.stringMatching(/^base-1\|\d+\.\d+%\|\d+.*iB \/ \d.*iB\|.*B \/ .*B\|1$/),
      expect.stringMatching(/^web-1\|\d+\.\d+%\|\d+.*iB \/ \d.*iB\|.*B \/ .*B\|1$/),
    ]);
    expect(
      await docker.ok([
        'inspect',
        '-f',
        '{{.State.Running}} {{.HostConfig.NetworkMode}} {{json .Args}}',
        'base-1',
      ]),
    ).toBe('true bridge ["1000"]');
    expect(await docker.ok(['inspect', '--type', 'image', '-f', '{{.Os}}', 'busybox'])).toBe(
      'linux',
    );
    expect(await docker.ok(['inspect', '-s', '-f', '{{.SizeRootFs}}', 'base-1'])).toMatch(
      /^\d{7}$/,
    );
    await docker.ok([
      'exec',
      'base-1',
      'sh',
      '-c',
      'echo x >/new; rm /etc/group; echo y >>/etc/passwd',
    ]);
    expect((await docker.ok(['diff', 'base-1'])).split('\n').toSorted()).toEqual([
      'A /new',
      'A /v',
      'C /etc',
      'C /etc/passwd',
      'D /etc/group',
    ]);
  });
});

describe('docker events', () => {
  it('tells what happened, filtered, in order, live and from the past', async () => {
    await using live = openSession(
      docker,
      words(
        'events --filter label=watched --filter type=container --format',
        '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}}',
      ),
    );
    await using volumes = openSession(docker, [
      'events',
      '--filter',
      'type=volume',
      '--format',
      '{{.Action}}',
    ]);
    await waitFor('the streams to be open', async () => {
      await docker.ok(['volume', 'create', 'marker']);
      await docker.ok(['volume', 'rm', 'marker']);
      return volumes.stdout.includes('create');
    });
    await waitFor('the first stream to be open', async () => {
      await docker.ok(words('create --label watched --name marker busybox true'));
      await docker.ok(['rm', 'marker']);
      return live.stdout.includes('marker');
    });
    const since = (await docker.ok(['info', '--format', '{{.SystemTime}}'])).trim();
    await docker.ok(words('run --label watched --name evented busybox true'));
    await docker.ok(['rm', 'evented']);
    await live.sees('destroy evented');
    expect(live.stdout.split('\n').filter((line) => line.includes('evented'))).toEqual([
      'create evented busybox',
      'attach evented busybox',
      'start evented busybox',
      'die evented busybox',
      'destroy evented busybox',
    ]);
    const past = async (filter: string, format: string): Promise<string> =>
      await docker.ok(
        words(
          `events --since ${since} --until ${new Date().toISOString()} -f ${filter} --format`,
          format,
        ),
      );
    expect(
      await past(
        'event=die -f container=evented',
        '{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}}',
      ),
    ).toBe('container die 0');
    const networks = await past('type=network', '{{.Action}} {{.Actor.Attributes.name}}');
    expect(networks.split('\n')).toEqual(['connect bridge', 'disconnect bridge']);
  });
});

describe('docker system', () => {
  it('df counts images, containers and volumes', async () => {
    const rows = await docker.ok([
      'system',
      'df',
      '--format',
      '{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}',
    ]);
    expect(rows.split('\n')).toEqual([
      expect.stringMatching(/^Images\|2\|2\|\d.*MB$/),
      expect.stringMatching(/^Containers\|4\|2\|\d.*B$/),
      expect.stringMatching(/^Local Volumes\|1\|1\|0B$/),
      expect.stringMatching(/^Build Cache\|0\|0\|0B$/),
    ]);
    const verbose = await docker.ok(['system', 'df', '-v']);
    for (const word of [
      'Images space usage:',
      'web-1',
      'never-ran',
      'vol ',
      'Build cache usage: 0B',
    ]) {
      expect(verbose).toContain(word);
    }
  });

  it('info and version answer what the clients show', async () => {
    const info = await docker.ok(['info']);
    for (const word of [
      'Server Version: ',
      'Storage Driver: overlay2',
      'Containers: 4',
      ' Running: 2',
      'Cgroup Version',
      'runc',
    ]) {
      expect(info).toContain(word);
    }
    expect(
      await docker.ok([
        'version',
        '--format',
        '{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}',
      ]),
    ).toBe('1.51 1.24 linux');
  });
});
