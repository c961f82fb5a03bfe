import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine, expectNoLeftovers } from './leftovers.ts';
import { words } from './session.ts';

let first: TestEngine;
let second: TestEngine;

beforeAll(async () => {
  [first, second] = await Promise.all([startEngine(), startEngine()]);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await Promise.all([clearEngine(first), clearEngine(second)]);
  });
});
afterAll(async () => {
  await Promise.all([first?.[Symbol.asyncDispose](), second?.[Symbol.asyncDispose]()]);
});

async function lines(engine: TestEngine, line: string, ...more: string[]): Promise<string[]> {
  return (await engine.docker.ok(words(line, ...more))).split('\n').filter(Boolean).toSorted();
}

async function page(engine: TestEngine, name: string): Promise<string> {
  const port = /:(\d+)$/.exec(await engine.docker.ok(['port', name, '80']))?.[1] ?? '';
  return await waitFor('the page', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
    return (await answer.text()).trim();
  });
}

describe('two engines on one machine', () => {
  it('know nothing of each other and do each other no harm', async () => {
    for (const engine of [first, second]) {
      await engine.docker.ok(['load', '-qi', await webArchive()]);
      await engine.docker.ok(words('network create net'));
      await engine.docker.ok(words('volume create vol'));
      await engine.docker.ok(words('run -d --name same -p 80 -v vol:/v --network net web'));
    }
    for (const engine of [first, second]) {
      expect(await lines(engine, 'ps -a --format {{.Names}}')).toEqual(['same']);
      expect(await page(engine, 'same')).toBe('Hello from Gantry');
      expect(await lines(engine, 'volume ls -q')).toEqual(['vol']);
    }
    const subnet = async (engine: TestEngine): Promise<string> =>
      await engine.docker.ok(words('network inspect net -f', '{{(index .IPAM.Config 0).Subnet}}'));
    expect(await subnet(first)).not.toBe(await subnet(second));
    // What one publishes the other cannot.
    const port = (await first.docker.ok(words('port same 80'))).split(':').at(-1) ?? '';
    const taken = await second.docker(words(`run --name taken -p 127.0.0.1:${port}:80 web`));
    expect(taken.exitCode).toBe(125);
    expect(taken.stderr).toContain(port);
    await second.docker.ok(words('rm -fv taken'));
    await second.docker.ok(words('rm -fv same'));
    await second.docker.ok(words('network rm net'));
    await second.docker.ok(words('volume rm vol'));
    await expectNoLeftovers(second);
    await second.kill();
    expect(await page(first, 'same')).toBe('Hello from Gantry');
    await second.start();
    expect(await page(first, 'same')).toBe('Hello from Gantry');
    expect(await first.docker.ok(words('exec same cat /www/index.html'))).toBe('Hello from Gantry');
  });
});

describe('docker container prune', () => {
  it('removes what does not run, by label and age', async () => {
    const { docker } = second;
    await docker.ok(words('run -d --name runs busybox sleep 1000'));
    await docker.ok(words('run -d --name paused busybox sleep 1000'));
    await docker.ok(words('pause paused'));
    await docker.ok(words('create --name made --label keep=1 busybox'));
    await docker.ok(words('run --name ended busybox sh -c', 'head -c 100000 /dev/zero >/zeros'));
    expect(await docker.ok(words('container prune -f --filter until=1h'))).toContain(
      'reclaimed space: 0B',
    );
    const pruned = await docker.ok(words('container prune -f --filter label!=keep'));
    expect(pruned).toMatch(
      /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 100(\.\d+)?kB$/,
    );
    expect(await lines(second, 'ps -a --format {{.Names}}')).toEqual(['made', 'paused', 'runs']);
    await docker.ok(words('container prune -f'));
    expect(await lines(second, 'ps -a --format {{.Names}}')).toEqual(['paused', 'runs']);
    await docker.ok(words('rm -f paused runs'));
  });
});

describe('docker system prune', () => {
  it('removes stopped containers, unused networks, dangling images, and with flags the rest', async () => {
    const { docker } = second;
    await docker.ok(words('run -d --name runs --network bridge -v used:/u busybox sleep 1000'));
    await docker.ok(words('run --name ended busybox touch /x'));
    await docker.ok(words('commit ended tagged'));
    await docker.ok(words('commit ended dangling'));
    await docker.ok(words('tag tagged dangling'));
    await docker.ok(words('network create idle'));
    await docker.ok(words('volume create unused'));
    const text = await docker.ok(words('system prune -f'));
    for (const word of [
      'Deleted Containers:',
      'Deleted Networks:\nidle',
      'Deleted Images:',
      'Total reclaimed space: ',
    ]) {
      expect(text).toContain(word);
    }
    expect(text).not.toContain('Deleted Volumes');
    expect(await lines(second, 'ps -a --format {{.Names}}')).toEqual(['runs']);
    expect(await lines(second, 'network ls --format {{.Name}}')).toEqual([
      'bridge',
      'host',
      'none',
    ]);
    expect(await lines(second, 'images --format {{.Repository}}')).toEqual([
      'busybox',
      'dangling',
      'tagged',
      'web',
    ]);
    expect(await lines(second, 'volume ls -q')).toEqual(['unused', 'used']);
    const all = await docker.ok(words('system prune -af --volumes'));
    expect(all).toMatch(/untagged: web:latest/);
    expect(await lines(second, 'images --format {{.Repository}}')).toEqual(['busybox']);
    expect(await lines(second, 'volume ls -q')).toEqual(['used']);
    const events = await docker.ok(
      words(
        `events --since 1h --until ${new Date().toISOString()} -f event=prune --format {{.Type}}`,
      ),
    );
    expect(new Set(events.split('\n'))).toEqual(
      new Set(['container', 'network', 'volume', 'image', 'builder']),
    );
    await docker.ok(words('rm -fv runs'));
    await docker.ok(words('volume rm used'));
    expect(
      await lines(second, 'system df --format {{.Type}}:{{.TotalCount}}:{{.Reclaimable}}'),
    ).toEqual([
      'Build Cache:0:0B',
      expect.stringMatching(/^Containers:0:0B$/),
      expect.stringMatching(/^Images:1:\d.*MB \(100%\)$/),
      'Local Volumes:0:0B',
    ]);
    await expectNoLeftovers(second);
    await docker.ok(words('rmi busybox'));
    const blobs = await docker.ok(words('system df --format {{.Type}}:{{.Size}}'));
    expect(blobs).toContain('Images:0B');
  });
});
