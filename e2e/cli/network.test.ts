import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { NODE } from '../fixtures/places.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine } from './leftovers.ts';
import { occupyPort, words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
const PAGE = 'Hello from Gantry';

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

async function exec(name: string, line: string): Promise<string> {
  return await docker.ok(['exec', name, 'sh', '-c', line]);
}

async function inspect(name: string, format: string): Promise<string> {
  return await docker.ok(['inspect', '--format', format, name]);
}

/** A container that lives on and is asked from. */
async function startPeer(name: string, flags = ''): Promise<void> {
  await docker.ok(words(`run -d --name ${name} ${flags} busybox sleep 1000`));
}

/** Fetches a page from a container, waiting for the server to listen. */
async function fetchFrom(name: string, host: string): Promise<string> {
  return await waitFor(`a page of ${host} in ${name}`, async () => {
    const result = await docker(['exec', name, 'timeout', '5', 'wget', '-qO-', `http://${host}/`]);
    if (result.exitCode !== 0) {
      throw new Error(result.stderr);
    }
    return result.stdout.trim();
  });
}

/** One HTTP exchange over a plain connection. */
async function fetchPage(host: string, port: number): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect({ host, port }, () => socket.end('GET / HTTP/1.0\r\n\r\n'));
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.once('error', reject);
    socket.once('end', () => resolve(text));
  });
}

async function expectPage(host: string, port: number): Promise<void> {
  await waitFor(`the page at ${host} ${port}`, async () =>
    (await fetchPage(host, port)).includes(PAGE),
  );
}

async function hostPort(name: string, port = '80'): Promise<number> {
  const text = await docker.ok(['port', name, port]);
  return Number(/:(\d+)$/m.exec(text)?.[1]);
}

describe('user-defined networks', () => {
  it('resolve names and aliases, and keep networks apart', async () => {
    await docker.ok(words('network create front'));
    await docker.ok(
      words('network create --subnet 10.201.7.0/24 --gateway 10.201.7.9 --label a=b back'),
    );
    await docker.ok(
      words('run -d --name web --network front --network-alias site --network-alias www web'),
    );
    await startPeer('client', '--network front');
    await startPeer('far', '--network back --ip 10.201.7.33 --hostname farhost');
    for (const name of ['web', 'site', 'www', 'web.front']) {
      expect(await fetchFrom('client', name)).toBe(PAGE);
    }
    expect(await exec('client', 'cat /etc/resolv.conf')).toContain('nameserver 127.0.0.11');
    expect((await docker(['exec', 'client', 'nslookup', 'far'])).exitCode).not.toBe(0);
    const webAddress = await inspect('web', '{{.NetworkSettings.Networks.front.IPAddress}}');
    const apart = await docker([
      'exec',
      'far',
      'timeout',
      '2',
      'wget',
      '-qO-',
      `http://${webAddress}/`,
    ]);
    expect(apart.exitCode).not.toBe(0);
    expect(
      await exec('far', "ip -4 -o addr show eth0 | awk '{print $4}'; ip route | grep default"),
    ).toMatch(/^10\.201\.7\.33\/24\ndefault via 10\.201\.7\.9 dev eth0/);
    expect(await exec('far', 'cat /etc/hosts')).toMatch(/10\.201\.7\.33\tfarhost/);
    // Connected live, with an alias and an address; reachable on both sides; then taken away again.
    await docker.ok(words('network connect --alias both --ip 10.201.7.77 back web'));
    expect(await fetchFrom('far', 'both')).toBe(PAGE);
    expect(await fetchFrom('far', '10.201.7.77')).toBe(PAGE);
    expect(await fetchFrom('client', 'web')).toBe(PAGE);
    expect(await exec('web', 'ls /sys/class/net')).toBe('eth0\neth1\nlo');
    expect(
      await docker.ok(
        words('network inspect -f', '{{range .Containers}}{{.Name}} {{end}}', 'back'),
      ),
    ).toMatch(/^(far web|web far) $/);
    const twice = await docker(words('network connect back web'));
    expect(twice.stderr).toMatch(/endpoint with name web already exists in network back/);
    await docker.ok(words('network disconnect back web'));
    expect(await exec('web', 'ls /sys/class/net')).toBe('eth0\nlo');
    expect((await docker(['exec', 'far', 'nslookup', 'both'])).exitCode).not.toBe(0);
    const busy = await docker(words('network rm front'));
    expect(busy.exitCode).toBe(1);
    expect(busy.stderr).toMatch(/network front .*has active endpoints/);
    await docker.ok(words('rm -f web client far'));
    expect(await docker.ok(words('network rm front back'))).toBe('front\nback');
  });

  it('are listed, inspected, refused and pruned', async () => {
    const id = await docker.ok(
      words('network create --subnet 10.201.8.0/24 --ip-range 10.201.8.128/25 --label x=1 ranged'),
    );
    expect(await docker.ok(words('network ls --no-trunc -q -f name=ranged'))).toBe(id);
    expect(
      await docker.ok(
        words('network ls -f driver=bridge -f label=x --format', '{{.Name}} {{.Scope}}'),
      ),
    ).toBe('ranged local');
    expect(
      (await docker.ok(words('network ls --format {{.Name}}'))).split('\n').toSorted(),
    ).toEqual(['bridge', 'host', 'none', 'ranged']);
    const address = await docker.ok(
      words(
        'run --rm --network ranged busybox sh -c',
        "ip -4 -o addr show eth0 | awk '{print $4}'",
      ),
    );
    expect(address).toMatch(/^10\.201\.8\.(12[89]|1[3-9]\d|2\d\d)\/24$/);
    const refusals: readonly [string, RegExp][] = [
      [
        'network create --subnet 10.201.8.0/25 overlapping',
        /Pool overlaps with other one on this address space/,
      ],
      [
        'network create bridge',
        /operation is not permitted on predefined bridge network|network with name bridge already exists/,
      ],
      ['network create ranged', /network with name ranged already exists/],
      ['network create -d nosuch bad', /could not find plugin nosuch|plugin "nosuch" not found/],
      ['network rm bridge', /bridge is a pre-defined network and cannot be removed/],
      ['network rm nosuch', /network nosuch not found|No such network: nosuch/],
      ['run --rm --network nosuch busybox true', /network nosuch not found/],
      [
        'run --rm --network ranged --ip 10.9.9.9 busybox true',
        /no configured subnet .*contain|invalid address 10\.9\.9\.9/i,
      ],
    ];
    for (const [line, expected] of refusals) {
      const result = await docker(words(line));
      expect(result.exitCode, line).not.toBe(0);
      expect(result.stderr, line).toMatch(expected);
    }
    await docker.ok(words('network create used'));
    await startPeer('holder', '--network used');
    expect(await docker.ok(words('network prune -f'))).toMatch(/^Deleted Networks:\nranged\n?$/);
    expect(await docker.ok(words('network ls -q -f name=used'))).not.toBe('');
    await docker.ok(words('rm -f holder'));
    await docker.ok(words('network rm used'));
  });

  it('an internal one reaches nobody outside, --link names another container', async () => {
    await docker.ok(words('network create --internal inner'));
    await startPeer('shut', '--network inner');
    expect(await exec('shut', 'ip route')).not.toContain('default');
    await docker.ok(words('run -d --name inner-web --network inner web'));
    expect(await fetchFrom('shut', 'inner-web')).toBe(PAGE);
    await docker.ok(words('rm -f shut inner-web'));
    await docker.ok(words('network rm inner'));
    await docker.ok(words('run -d --name linked-web -e SECRET=s web'));
    await startPeer('linker', '--link linked-web:db');
    expect(await fetchFrom('linker', 'db')).toBe(PAGE);
    expect(await exec('linker', 'echo $DB_PORT_80_TCP_PORT $DB_ENV_SECRET $DB_NAME')).toBe(
      '80 s /linker/db',
    );
    await docker.ok(words('rm -f linker linked-web'));
  });
});

describe('modes', () => {
  it('none, host and container:NAME', async () => {
    expect(await docker.ok(words('run --rm --network none busybox ls /sys/class/net'))).toBe('lo');
    expect(await docker.ok(words('run --rm --network host busybox ls /sys/class/net'))).toContain(
      `gt${engine.folder.split('/').pop()?.slice(0, 8) ?? ''}`,
    );
    await docker.ok(words('run -d --name web web'));
    await startPeer('sidecar', '--network container:web');
    expect(await fetchFrom('sidecar', 'localhost')).toBe(PAGE);
    expect(await exec('sidecar', 'hostname')).toBe(await exec('web', 'hostname'));
    expect(
      (await docker(words('run --rm --network container:web -p 80 busybox'))).stderr,
    ).toContain('conflicting options: port publishing and the container type network mode');
    await docker.ok(words('rm -f sidecar web'));
  });

  it('the default bridge gives addresses and the way out, names only by link', async () => {
    await startPeer('plain', '--mac-address 02:42:ac:11:22:33 --dns 192.0.2.53');
    expect(await exec('plain', 'cat /sys/class/net/eth0/address')).toBe('02:42:ac:11:22:33');
    expect(await exec('plain', 'cat /etc/resolv.conf')).toContain('192.0.2.53');
    const gateway = await inspect('plain', '{{.NetworkSettings.Gateway}}');
    expect(await exec('plain', 'ip route | grep default')).toContain(`via ${gateway} dev eth0`);
    expect((await docker(['exec', 'plain', 'ping', '-c1', '-W5', gateway])).exitCode).toBe(0);
    await docker.ok(words('rm -f plain'));
  });
});

describe('published ports', () => {
  it('answer on every address of the host, also IPv6, until the container stops', async () => {
    await docker.ok(words('run -d --name web -p 80 web'));
    const port = await hostPort('web');
    for (const host of ['127.0.0.1', '::1']) {
      await expectPage(host, port);
    }
    const own = await docker.ok(
      words('network inspect bridge -f', '{{(index .IPAM.Config 0).Gateway}}'),
    );
    await expectPage(own, port);
    // From another container, through the host.
    await startPeer('other');
    expect(await fetchFrom('other', `${own}:${port}`)).toBe(PAGE);
    expect(await inspect('web', '{{json .NetworkSettings.Ports}}')).toContain(
      `"HostPort":"${port}"`,
    );
    await docker.ok(words('stop -t 0 web'));
    await waitFor(
      'the port to be closed',
      async () =>
        await fetchPage('127.0.0.1', port).then(
          () => false,
          () => true,
        ),
    );
    await docker.ok(words('start web'));
    await expectPage('127.0.0.1', await hostPort('web'));
    await docker.ok(words('rm -f web other'));
  });

  it('to one address only, ranges, several, and -P', async () => {
    await docker.ok(words('run -d --name web -p 127.0.0.1::80 -P --expose 81-82 web'));
    const port = await hostPort('web');
    expect(await docker.ok(words('port web'))).toMatch(/80\/tcp -> 127\.0\.0\.1:\d+/);
    expect(await docker.ok(words('port web 81'))).toMatch(/0\.0\.0\.0:\d+/);
    await expectPage('127.0.0.1', port);
    await expect(fetchPage('::1', port)).rejects.toThrow('ECONNREFUSED');
    const own = await docker.ok(
      words('network inspect bridge -f', '{{(index .IPAM.Config 0).Gateway}}'),
    );
    await expect(fetchPage(own, port)).rejects.toThrow(/ECONNREFUSED|no answer/);
    await docker.ok(words('rm -f web'));
  });

  it('udp goes both ways', async () => {
    // The machine's own files, since busybox has no server for datagrams.
    const script = `const s = require('dgram').createSocket('udp4', (m, r) => s.send(m, r.port, r.address)); s.bind(99)`;
    await docker.ok([
      ...words('run -d --name echo -p 127.0.0.1::99/udp -v /:/host:ro busybox chroot /host'),
      NODE,
      '-e',
      script,
    ]);
    const port = await hostPort('echo', '99/udp');
    const socket = createSocket('udp4');
    let answer = '';
    socket.on('message', (message) => {
      answer = message.toString('utf8');
    });
    await waitFor('the echo', () => {
      socket.send('over udp', port, '127.0.0.1');
      return answer === 'over udp';
    });
    await new Promise<void>((resolve) => {
      socket.close(() => resolve());
    });
    await docker.ok(words('rm -f echo'));
  });

  it('a taken one is an error that names it, and the container stays startable', async () => {
    const { port, server } = await occupyPort();
    const result = await docker(words(`run -d --name taken -p ${port}:80 web`));
    expect(result.exitCode).toBe(125);
    expect(result.stderr).toContain(`0.0.0.0:${port}`);
    expect(result.stderr).toMatch(/address already in use|port is already allocated/);
    expect(await inspect('taken', '{{.State.Status}}')).toBe('created');
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    await docker.ok(words('start taken'));
    await expectPage('127.0.0.1', port);
    const second = await docker(words(`run --name second -p ${port}:80 web`));
    expect(second.exitCode).toBe(125);
    expect(second.stderr).toContain(`Bind for 0.0.0.0:${port} failed: port is already allocated`);
    await docker.ok(words('rm -f taken second'));
  });
});
