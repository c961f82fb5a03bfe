import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../testing/fake-engine.ts';
import { RealEngine, textOf } from '../testing/real-engine.ts';

let engine: RealEngine;

beforeAll(async () => {
  engine = await RealEngine.make();
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

const MIB = 2 ** 20;

describe('a process', () => {
  it('runs, says something, ends; nothing of it is left but the record', async () => {
    const { output, exitCode, id } = await engine.run('echo hello; echo $HOSTNAME; exit 3');
    expect(output).toMatch(/^hello\n[0-9a-f]{12}\n$/);
    expect(exitCode).toBe(3);
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    expect(mounts).not.toContain(id);
    await expect(stat(join(engine.dir, 'run', id))).rejects.toThrow('ENOENT');
    const parent = `gantry-test-${basename(engine.dir)}`;
    for (const group of ['.', ...(await readdir('/sys/fs/cgroup'))]) {
      const folder = join('/sys/fs/cgroup', group, parent, id);
      await expect(stat(folder), folder).rejects.toThrow(/ENOENT|ENOTDIR/);
    }
    const { State } = await engine.containers.inspect(id);
    expect(State).toMatchObject({ Status: 'exited', ExitCode: 3, OOMKilled: false });
  });

  it('has its user, folder, environment and limits', async () => {
    const { output } = await engine.run(
      'id -u; id -g; pwd; echo $GREETING; ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2',
      {
        Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
        Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '77' },
        ShmSize: 8 * MIB,
      },
      { User: 'www-data', WorkingDir: '/made/for/me', Env: ['GREETING=hi there'] },
    );
    expect(output).toBe('33\n33\n/made/for/me\nhi there\n100\n77\n8192\n');
  });

  it('cannot write to a read-only root, but to its tmpfs', async () => {
    const { output } = await engine.run(
      'touch /x 2>&1; touch /t/y && ls /t; grep " /t " /proc/mounts | grep -o noexec',
      { ReadonlyRootfs: true, Tmpfs: { '/t': 'size=1m' } },
    );
    expect(output).toContain('Read-only file system');
    expect(output).toContain('y\nnoexec\n');
  });

  it('that is not there: 127, that is no program: 126; then nothing is left', async () => {
    const missing = await engine.create({ Cmd: ['no-such-program'] });
    await expect(engine.containers.start(missing)).rejects.toMatchObject({
      code: 'invalid-parameter',
      message: expect.stringContaining(
        'exec: "no-such-program": executable file not found in $PATH: unknown',
      ) as string,
    });
    expect((await engine.containers.inspect(missing)).State.ExitCode).toBe(127);
    const noProgram = await engine.create({ Cmd: ['/etc/passwd'] });
    await expect(engine.containers.start(noProgram)).rejects.toThrow('permission denied');
    expect((await engine.containers.inspect(noProgram)).State.ExitCode).toBe(126);
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    expect(mounts).not.toContain(missing);
    expect(mounts).not.toContain(noProgram);
  });

  it('reads what a client types, to its end', async () => {
    const id = await engine.create({
      Cmd: ['sh', '-c', 'wc -c; exit 4'],
      OpenStdin: true,
      StdinOnce: true,
    });
    const session = await engine.containers.attach(id, {
      wantsLogs: false,
      wantsStream: true,
      wantsStdin: true,
      wantsStdout: true,
      wantsStderr: true,
      detachKeys: undefined,
    });
    const text = textOf(session.output);
    await engine.containers.start(id);
    await session.write(Buffer.from('hello'));
    await session.write(Buffer.alloc(100_000, 'x'));
    await session.closeInput();
    expect(await text).toBe('100005\n');
    expect((await engine.containers.inspect(id)).State.ExitCode).toBe(4);
  });

  it('on a terminal knows its size, also when it changes', async () => {
    const id = await engine.create(
      {
        Cmd: [
          'sh',
          '-c',
          'stty size; while [ "$(stty size)" = "31 101" ]; do sleep 0.05; done; stty size',
        ],
        Tty: true,
      },
      { ConsoleSize: [31, 101] },
    );
    const session = await engine.containers.attach(id, {
      wantsLogs: false,
      wantsStream: true,
      wantsStdin: false,
      wantsStdout: true,
      wantsStderr: true,
      detachKeys: undefined,
    });
    let text = '';
    await engine.containers.start(id);
    for await (const { data } of session.output) {
      text += Buffer.from(data).toString();
      if (text === '31 101\r\n') {
        await engine.containers.resize(id, { rows: 40, columns: 120 });
      }
    }
    expect(text).toBe('31 101\r\n40 120\r\n');
  });

  it('that takes too much memory is killed, and told so', async () => {
    const { id, exitCode } = await engine.run('tail /dev/zero', {
      Memory: 16 * MIB,
      MemorySwap: 16 * MIB,
    });
    expect(exitCode).toBe(137);
    expect((await engine.containers.inspect(id)).State.OOMKilled).toBe(true);
    expect(engine.events.some((event) => event.id === id && event.action === 'oom')).toBe(true);
  });

  it('obeys pause, top, stats, update and stop', async () => {
    const id = await engine.create({ Cmd: ['sleep', '1000'] }, { Memory: 64 * MIB });
    await engine.containers.start(id);
    await engine.containers.pause(id);
    await engine.containers.unpause(id);
    const { Titles, Processes } = await engine.containers.top(id, undefined);
    expect(Titles[1]).toBe('PID');
    expect(Processes.map((row) => row.at(-1))).toEqual(['sleep 1000']);
    const [sample] = await Array.fromAsync(
      await engine.containers.stats(id, { isStreaming: false, isOneShot: true }),
    );
    expect(sample?.memory_stats).toMatchObject({ limit: 64 * MIB });
    expect(sample?.pids_stats.current).toBe(1);
    await engine.containers.update(id, {
      changes: { Memory: 128 * MIB, MemorySwap: 128 * MIB, PidsLimit: 50 },
    });
    const [later] = await Array.fromAsync(
      await engine.containers.stats(id, { isStreaming: false, isOneShot: true }),
    );
    expect(later?.memory_stats).toMatchObject({ limit: 128 * MIB });
    expect(later?.pids_stats.limit).toBe(50);
    await engine.containers.stop(id, { timeoutSec: 0 });
    expect((await engine.containers.inspect(id)).State.ExitCode).toBe(137);
  });
});

describe('exec', () => {
  it('runs in the container, with its own exit code', async () => {
    const id = await engine.create({ Cmd: ['sleep', '1000'], Env: ['A=1'] });
    await engine.containers.start(id);
    expect(await engine.exec(id, 'echo $A; hostname; exit 9')).toEqual({
      output: `1\n${id.slice(0, 12)}\n`,
      exitCode: 9,
    });
    const missing = await engine.containers.createExec(id, {
      cmd: ['nope'],
      env: [],
      user: '',
      workingDir: '',
      hasTty: false,
      isPrivileged: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
      consoleSize: undefined,
    });
    await expect(
      engine.containers.startExec(missing.id, { isDetached: false, consoleSize: undefined }),
    ).rejects.toThrow('executable file not found in $PATH');
    expect((await engine.containers.inspectExec(missing.id)).ExitCode).toBe(127);
  });

  it('has a terminal, a user and a folder of its own', async () => {
    const id = await engine.create({ Cmd: ['sleep', '1000'] });
    await engine.containers.start(id);
    const exec = await engine.containers.createExec(id, {
      cmd: ['sh', '-c', 'tty; id -un; pwd; stty size'],
      env: [],
      user: 'nobody',
      workingDir: '/tmp',
      hasTty: true,
      isPrivileged: false,
      attachStdin: true,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
      consoleSize: [33, 99],
    });
    const session = await engine.containers.startExec(exec.id, {
      isDetached: false,
      consoleSize: undefined,
    });
    expect(session === undefined ? '' : await textOf(session.output)).toBe(
      '/dev/pts/0\r\nnobody\r\n/tmp\r\n33 99\r\n',
    );
  });
});

describe('mounts', () => {
  it('binds are made, are read-only when asked, and hide nothing else', async () => {
    const host = join(engine.dir, 'bound');
    const { output } = await engine.run(
      'echo data > /rw/file; cat /ro/file; touch /ro/x 2>&1 | grep -o "Read-only.*"',
      { Binds: [`${host}:/rw`, `${host}:/ro:ro`] },
    );
    expect(output).toBe('data\nRead-only file system\n');
    expect(await readFile(join(host, 'file'), 'utf8')).toBe('data\n');
  });

  it('a new volume gets what the image has there, also its anonymous ones', async () => {
    const named = await engine.run(
      'cat /data/seed.txt',
      { Binds: ['seeded:/data'] },
      { Image: 'data' },
    );
    expect(named.output).toBe('from the image\n');
    const anonymous = await engine.run('cat /data/seed.txt', {}, { Image: 'data' });
    expect(anonymous.output).toBe('from the image\n');
    const nocopy = await engine.run(
      'ls /data',
      { Binds: ['empty:/data:nocopy'] },
      { Image: 'data' },
    );
    expect(nocopy.output).toBe('');
    const inherited = await engine.run(
      'cat /data/seed.txt; touch /data/x 2>&1 | grep -o Read-only',
      {
        VolumesFrom: [`${anonymous.id}:ro`],
      },
    );
    expect(inherited.output).toBe('from the image\nRead-only\n');
  });

  it('subpaths stay inside their volume', async () => {
    await engine.run('mkdir -p /v/in/side; echo deep > /v/in/side/f; ln -s / /v/out', {
      Binds: ['sub:/v'],
    });
    const inside = await engine.run('cat /s/f', {
      Mounts: [
        { Type: 'volume', Source: 'sub', Target: '/s', VolumeOptions: { Subpath: 'in/side' } },
      ],
    });
    expect(inside.output).toBe('deep\n');
    const outside = await engine.create(
      {},
      {
        Mounts: [
          { Type: 'volume', Source: 'sub', Target: '/s', VolumeOptions: { Subpath: 'out' } },
        ],
      },
    );
    await expect(engine.containers.start(outside)).rejects.toThrow(
      'path concatenation escapes the base directory',
    );
  });

  it('an empty subpath of a volume gets what the image has there', async () => {
    await engine.run('mkdir /v/etc', { Binds: ['filled:/v'] });
    const { output } = await engine.run('cat /v/etc/passwd | head -n 1; ls /v', {
      Mounts: [
        { Type: 'volume', Source: 'filled', Target: '/v' },
        { Type: 'volume', Source: 'filled', Target: '/etc', VolumeOptions: { Subpath: 'etc' } },
      ],
    });
    expect(output).toMatch(/^root:.*\netc\n$/);
  });

  it('an image can be looked into', async () => {
    const { output } = await engine.run(
      'cat /i/data/seed.txt; touch /i/x 2>&1 | grep -o Read-only',
      {
        Mounts: [{ Type: 'image', Source: 'data', Target: '/i' }],
      },
    );
    expect(output).toBe('from the image\nRead-only\n');
  });

  it('a bind whose source is missing is refused for --mount', async () => {
    await expect(
      engine.create({}, { Mounts: [{ Type: 'bind', Source: '/no/such/folder', Target: '/x' }] }),
    ).rejects.toThrow(
      'invalid mount config for type "bind": bind source path does not exist: /no/such/folder',
    );
  });
});

describe('namespaces', () => {
  it('of another container are joined', async () => {
    const owner = await engine.create(
      { Cmd: ['sh', '-c', 'echo shared > /dev/shm/file; sleep 1000'] },
      { IpcMode: 'shareable' },
      'owner',
    );
    await engine.containers.start(owner);
    await until(async () => (await engine.exec(owner, 'cat /dev/shm/file')).output === 'shared\n');
    const joined = await engine.run(
      'cat /dev/shm/file; ps | grep -c "sleep 100[0]"; readlink /proc/self/ns/net',
      { PidMode: 'container:owner', IpcMode: 'container:owner', NetworkMode: 'container:owner' },
    );
    const net = await engine.exec(owner, 'readlink /proc/self/ns/net');
    expect(joined.output).toBe(`shared\n1\n${net.output}`);
    await engine.containers.remove('owner', { isForced: true, withVolumes: true, isLink: false });
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    expect(mounts).not.toContain(owner);
  });

  it('of the host are the host', async () => {
    const { output } = await engine.run('readlink /proc/self/ns/net; hostname', {
      NetworkMode: 'host',
      UTSMode: 'host',
    });
    const [net] = output.split('\n');
    expect(net).toBe(`net:[${(await stat('/proc/self/ns/net')).ino}]`);
  });
});

describe('a hostile image or volume', () => {
  it('account files that are links do not show the host', async () => {
    const folder = join(engine.dir, 'accounts');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'passwd'), 'hostonly:x:1234:1234::/:/bin/sh\n');
    const made = await engine.run(`rm /etc/passwd; ln -s ${folder}/passwd /etc/passwd`);
    const { id } = await engine.containers.commit(made.id, {
      repo: undefined,
      tag: undefined,
      comment: '',
      author: '',
      pauses: false,
      changes: [],
      config: undefined,
    });
    const container = await engine.create({ Image: id, Cmd: ['true'], User: 'hostonly' });
    await expect(engine.containers.start(container)).rejects.toThrow(
      'unable to find user hostonly: no matching entries in passwd file',
    );
    await symlink('/', join(folder, 'loop'));
  });
});
