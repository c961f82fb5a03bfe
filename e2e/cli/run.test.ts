import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine } from './leftovers.ts';
import { words } from './session.ts';

let engine: TestEngine;
let docker: Docker;

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

/** Runs a shell line in a new busybox container that is removed afterwards. */
async function shell(line: string, ...flags: string[]): Promise<string> {
  return await docker.ok(['run', '--rm', ...flags, 'busybox', 'sh', '-c', line]);
}

async function inspect(name: string, format: string): Promise<string> {
  return await docker.ok(['inspect', '--format', format, name]);
}

describe('docker run', () => {
  it('gives the exit code of the process', async () => {
    const results = await Promise.all([
      docker(['run', '--rm', 'busybox', 'true']),
      docker(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 3']),
      docker(['run', '--rm', 'busybox', 'sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?']),
    ]);
    expect(results.map((result) => result.exitCode)).toEqual([0, 3, 137]);
    expect(results[1]).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
  });

  it('says with 127, 126 and 125 what could not be run', async () => {
    const [missing, forbidden, refused, noImage] = await Promise.all([
      docker(['run', '--rm', '--name', 'missing', 'busybox', 'nosuch']),
      docker(['run', '--rm', '--name', 'forbidden', 'busybox', '/etc/passwd']),
      docker(['run', '--rm', '--memory', '1m', 'busybox', 'true']),
      docker(['run', '--rm', '127.0.0.1:1/nosuch', 'true']),
    ]);
    expect(missing.exitCode).toBe(127);
    expect(missing.stderr).toMatch(
      /docker: Error response from daemon: .*exec: "nosuch": executable file not found in \$PATH: unknown\./,
    );
    expect(forbidden.exitCode).toBe(126);
    expect(forbidden.stderr).toMatch(/exec: "\/etc\/passwd": permission denied: unknown\./);
    expect(refused.exitCode).toBe(125);
    expect(refused.stderr).toContain('Minimum memory limit allowed is 6MB');
    expect(noImage.exitCode).toBe(125);
    expect(noImage.stderr).toContain("Unable to find image '127.0.0.1:1/nosuch:latest' locally");
    await waitFor('the failed ones to be removed', async () => {
      const names = await docker.ok(['ps', '-a', '--format', '{{.Names}}']);
      return !/missing|forbidden/.test(names);
    });
  });

  it('keeps a container that could not start, with its reason', async () => {
    const result = await docker(['run', '--name', 'unstartable', 'busybox', 'nosuch']);
    expect(result.exitCode).toBe(127);
    expect(await inspect('unstartable', '{{.State.Status}} {{.State.ExitCode}}')).toBe(
      'created 127',
    );
    expect(await inspect('unstartable', '{{.State.Error}}')).toContain('nosuch');
    await docker.ok(['rm', 'unstartable']);
  });

  it('sets environment, folder, user, host name, labels and entrypoint', async () => {
    const lines = await shell(
      'echo "$A-$B-$HOSTNAME"; pwd; id -u; id -g; hostname; cat /etc/hostname; echo $HOME',
      ...words('--env A=1 --workdir /tmp/new --user www-data', '--env', 'B=x y'),
      ...words('--hostname box --domainname example.test'),
    );
    expect(lines.split('\n')).toEqual([
      '1-x y-box',
      '/tmp/new',
      '33',
      '33',
      'box',
      'box',
      '/var/www',
    ]);
    expect(await shell('id -u; id -g; id -G', '--user', '1000:33', '--group-add', '5')).toBe(
      '1000\n33\n33 5',
    );
    const badUser = await docker(['run', '--rm', '--user', 'nobodyknows', 'busybox', 'true']);
    expect(badUser.exitCode).toBe(125);
    expect(badUser.stderr).toContain(
      'unable to find user nobodyknows: no matching entries in passwd file',
    );
    expect(
      await docker.ok(['run', '--rm', '--entrypoint', 'echo', 'busybox', 'from', 'entrypoint']),
    ).toBe('from entrypoint');
    await docker.ok(['create', '--name', 'labelled', '--label', 'a=b', 'busybox']);
    expect(await inspect('labelled', '{{json .Config.Labels}}')).toBe('{"a":"b"}');
    expect(await inspect('labelled', '{{.Path}} {{.Config.Image}} {{.State.Status}}')).toBe(
      'sh busybox created',
    );
    await docker.ok(['rm', 'labelled']);
  });

  it('pipes the standard input to the process', async () => {
    expect(
      await docker.ok(['run', '--rm', '-i', 'busybox', 'cat'], { input: 'from the pipe' }),
    ).toBe('from the pipe');
    const megabytes = Buffer.alloc(3 * 1024 * 1024, 'x');
    expect(
      await docker.ok(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { input: megabytes }),
    ).toBe(String(megabytes.length));
    expect(await docker.ok(['run', '--rm', 'busybox', 'cat'], { input: 'not asked for' })).toBe('');
  });

  it('detaches, keeps the container, and refuses its name to another', async () => {
    const id = await docker.ok(['run', '-d', '--name', 'one', 'busybox', 'sh', '-c', 'echo ran']);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await docker.ok(['wait', 'one'])).toBe('0');
    expect(await docker.ok(['logs', 'one'])).toBe('ran');
    const second = await docker(['run', '--name', 'one', 'busybox']);
    expect(second.exitCode).toBe(125);
    expect(second.stderr).toContain(
      `Conflict. The container name "/one" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
    await docker.ok(['rename', 'one', 'two']);
    expect(await inspect('two', '{{.Name}}')).toBe('/two');
    expect(await docker.ok(['start', '--attach', 'two'])).toBe('ran');
    expect(await docker.ok(['rm', id.slice(0, 12)])).toBe(id.slice(0, 12));
    expect((await docker(['inspect', 'two'])).stderr).toContain('No such object: two');
  });

  it('removes what --rm leaves behind', async () => {
    const id = await docker.ok(['run', '-d', '--rm', '-v', '/anonymous', 'busybox', 'true']);
    await waitFor('the container and its volume to be gone', async () => {
      const left = await docker.ok(['ps', '-aq', '--no-trunc']);
      return !left.includes(id) && (await docker.ok(['volume', 'ls', '-q'])) === '';
    });
  });

  it('limits what a process may do', async () => {
    const [readOnly, scratch, dropped, all, added, normal, newPrivileges] = await Promise.all([
      docker(['run', '--rm', '--read-only', '--tmpfs', '/ok', 'busybox', 'touch', '/ok/x', '/x']),
      shell('grep " /scratch " /proc/mounts', '--tmpfs', '/scratch:size=1m,mode=0700'),
      shell('grep CapEff /proc/self/status', '--cap-drop', 'NET_RAW'),
      shell('grep CapEff /proc/self/status', '--cap-drop', 'ALL'),
      shell('grep CapEff /proc/self/status', '--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN'),
      shell('grep -E "CapEff|Seccomp:|NoNewPrivs" /proc/self/status'),
      shell('grep NoNewPrivs /proc/self/status', '--security-opt', 'no-new-privileges'),
    ]);
    expect(readOnly.exitCode).toBe(1);
    expect(readOnly.stderr).toBe('touch: /x: Read-only file system\n');
    expect(scratch).toMatch(/^tmpfs \/scratch tmpfs .*size=1024k.*mode=700/);
    expect(dropped).toMatch(/00000000a80405fb$/);
    expect(all).toMatch(/0000000000000000$/);
    expect(added).toMatch(/0000000000001000$/);
    expect(normal).toMatch(/CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2/);
    expect(newPrivileges).toMatch(/1$/);
    const masked = await shell(
      'cat /proc/kcore | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | wc -l; echo x 2>&1 >/proc/sys/kernel/domainname; ls /dev | grep -v core | sort | tr "\\n" " "',
    );
    expect(masked).toMatch(/^0\n.*Read-only file system/s);
    expect(masked.split('\n').at(-1)?.trim().split(' ')).toEqual(
      words('fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero'),
    );
  });

  it('gives everything to a privileged container', async () => {
    const text = await shell(
      'mount -t tmpfs none /mnt2 2>/dev/null || { mkdir /m && mount -t tmpfs none /m; }; echo $?; ls /dev | wc -l; grep Seccomp: /proc/self/status; touch /proc/sys/kernel/hostname && echo writable',
      '--privileged',
    );
    expect(text).toMatch(/^0\n\d\d+\nSeccomp:\t0\nwritable$/);
  });

  it('sets limits that are seen in the cgroup', async () => {
    const line = (file: string, v1: string): string =>
      `cat /sys/fs/cgroup/${file} 2>/dev/null || cat /sys/fs/cgroup/${v1}`;
    expect(await shell(line('memory.max', 'memory/memory.limit_in_bytes'), '--memory', '64m')).toBe(
      '67108864',
    );
    expect(await shell(line('pids.max', 'pids/pids.max'), '--pids-limit', '77')).toBe('77');
    expect(await shell(line('cpu.max', 'cpu/cpu.cfs_quota_us'), '--cpus', '0.5')).toMatch(/^50000/);
    await docker.ok(['run', '-d', '--name', 'limited', '-m', '64m', 'busybox', 'sleep', '1000']);
    await docker.ok(['update', '--memory', '96m', '--memory-swap', '-1', 'limited']);
    expect(
      await docker.ok(
        words('exec limited sh -c', line('memory.max', 'memory/memory.limit_in_bytes')),
      ),
    ).toBe('100663296');
    expect(await inspect('limited', '{{.HostConfig.Memory}}')).toBe('100663296');
    await docker.ok(['rm', '-f', 'limited']);
    const killed = await docker(
      words('run --name greedy -m 16m --memory-swap 16m busybox sh -c', 'exec tail /dev/zero'),
    );
    expect(killed.exitCode).toBe(137);
    expect(await inspect('greedy', '{{.State.OOMKilled}}')).toBe('true');
    await docker.ok(['rm', 'greedy']);
  });

  it('sets ulimits, sysctls, devices, shared memory, hosts and name servers', async () => {
    expect(await shell('ulimit -Sn; ulimit -Hn', '--ulimit', 'nofile=100:200')).toBe('100\n200');
    expect(
      await shell(
        'cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
        '--sysctl',
        'net.ipv4.ip_unprivileged_port_start=99',
      ),
    ).toBe('99');
    expect(await shell('stat -c "%t %T" /dev/mine', '--device', '/dev/zero:/dev/mine:r')).toBe(
      '1 5',
    );
    expect(await shell('df -k /dev/shm | tail -1', '--shm-size', '2m')).toMatch(/ 2048 /);
    expect(
      await shell(
        'cat /etc/hosts /etc/resolv.conf',
        '--add-host',
        'some.test:192.0.2.7',
        '--dns',
        '192.0.2.53',
        '--dns-search',
        'example.test',
        '--dns-option',
        'ndots:3',
      ),
    ).toMatch(
      /192\.0\.2\.7\tsome\.test[^]*nameserver 192\.0\.2\.53[^]*search example\.test[^]*ndots:3|192\.0\.2\.7\tsome\.test[^]*search example\.test[^]*/,
    );
  });

  it('shares namespaces on request', async () => {
    await docker.ok([
      'run',
      '-d',
      '--name',
      'first',
      '--ipc',
      'shareable',
      'busybox',
      'sleep',
      '7654',
    ]);
    expect(await shell('ps -o args | grep -c "[s]leep 7654"', '--pid', 'container:first')).toBe(
      '1',
    );
    const id = await docker.ok(['exec', 'first', 'readlink', '/proc/self/ns/ipc']);
    expect(await shell('readlink /proc/self/ns/ipc', '--ipc', 'container:first')).toBe(id);
    const host = await docker.ok([
      'run',
      '--rm',
      '--uts',
      'host',
      '--pid',
      'host',
      'busybox',
      'hostname',
    ]);
    expect(host).not.toBe('');
    const missing = await docker(['run', '--rm', '--pid', 'container:nobody', 'busybox', 'true']);
    expect(missing.exitCode).toBe(125);
    expect(missing.stderr).toContain('No such container: nobody');
    await docker.ok(['rm', '-f', 'first']);
  });

  it('puts an init process in front with --init', async () => {
    expect(await shell('cat /proc/1/cmdline | tr "\\0" " "; echo $$', '--init')).not.toMatch(
      /\n1$/,
    );
  });
});
