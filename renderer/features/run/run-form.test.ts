import { describe, expect, it } from 'vitest';
import {
  checkForm,
  EMPTY_FORM,
  parsePort,
  parseSize,
  type RunForm,
  toDockerRun,
  toRunSpec,
} from './run-form.ts';

const form = (change: Partial<RunForm>): RunForm => ({ ...EMPTY_FORM, image: 'nginx', ...change });
const port = (id: number, host: string, container: string, protocol: 'tcp' | 'udp' = 'tcp') => ({
  id,
  hostIp: '',
  host,
  container,
  protocol,
});
const fields = (change: Partial<RunForm>, taken: string[] = []): string =>
  checkForm(form(change), new Set(taken))
    .map((problem) => problem.field)
    .join();

describe('parseSize and parsePort', () => {
  it('read sizes as docker run does', () => {
    expect(['512m', '1.5g', '1024', '2GiB', '64 kb'].map(parseSize)).toEqual([
      536_870_912, 1_610_612_736, 1024, 2_147_483_648, 65_536,
    ]);
    expect(['', 'x', '-1', '1x', '1..2'].map(parseSize).every((size) => size === undefined)).toBe(
      true,
    );
  });

  it('refuse what is no port', () => {
    expect(['1', '65535', '0', '65536', '80a', ''].map(parsePort)).toEqual([
      1,
      65_535,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('checkForm', () => {
  it('finds nothing in an empty form with empty rows', () => {
    expect(
      fields({
        ports: [port(1, '', '')],
        mounts: [{ id: 2, type: 'bind', source: '', target: '', isReadOnly: false }],
      }),
    ).toBe('');
  });

  it('names what is wrong', () => {
    expect(fields({ name: 'x' })).toBe('name');
    expect(fields({ name: 'web' }, ['web'])).toBe('name');
    expect(fields({ command: "sh -c 'x" })).toBe('command');
    expect(fields({ ports: [port(1, '8080', '80'), port(2, '8080', '81')] })).toBe('port:1,port:2');
    expect(fields({ ports: [port(1, '53', '53'), port(2, '53', '53', 'udp')] })).toBe('');
    expect(
      fields({ mounts: [{ id: 3, type: 'bind', source: 'rel', target: '/x', isReadOnly: false }] }),
    ).toBe('mount:3');
    expect(fields({ isAutoRemove: true, restart: 'always' })).toBe('restart');
    expect(fields({ memory: 'much', cpus: '0' })).toBe('memory,cpus');
  });
});

describe('toRunSpec', () => {
  it('leaves defaults to the image and the engine', () => {
    expect(toRunSpec(form({}))).toEqual({ image: 'nginx' });
  });

  it('carries every kind of field', () => {
    const spec = toRunSpec(
      form({
        command: `sh -c "echo hi"`,
        ports: [port(1, '', '80')],
        mounts: [
          { id: 1, type: 'volume', source: '', target: '/data', isReadOnly: true },
          { id: 2, type: 'tmpfs', source: '', target: '/run', isReadOnly: false },
        ],
        restart: 'on-failure',
        maxRetries: '3',
        network: 'shop',
        aliases: 'a, b',
        memory: '1k',
      }),
    );
    expect(spec).toEqual({
      image: 'nginx',
      command: ['sh', '-c', 'echo hi'],
      ports: [{ containerPort: 80, protocol: 'tcp' }],
      mounts: [
        { type: 'volume', target: '/data', isReadOnly: true },
        { type: 'tmpfs', target: '/run' },
      ],
      restart: { policy: 'on-failure', maxRetries: 3 },
      network: { mode: 'shop', aliases: ['a', 'b'] },
      memoryBytes: 1024,
    });
  });
});

describe('toDockerRun', () => {
  it('writes the same command, quoted for a shell', () => {
    const command = toDockerRun(
      form({
        name: 'web',
        ports: [port(1, '8080', '80'), port(2, '', '53', 'udp')],
        mounts: [{ id: 1, type: 'bind', source: '/my files', target: '/x', isReadOnly: true }],
        env: [{ id: 1, name: 'MOTD', value: `it's` }],
        entrypoint: 'sh -x',
        command: 'run "a b"',
        memory: '512m',
      }),
    ).join(' ');
    expect(command).toBe(
      `docker run -d --name web -p 8080:80 -p 53/udp -v '/my files:/x:ro' -e 'MOTD=it'\\''s' --memory 512m --entrypoint sh nginx -x run 'a b'`,
    );
  });

  it('says where the image goes while there is none', () => {
    expect(toDockerRun(EMPTY_FORM).join(' ')).toBe('docker run -d IMAGE');
  });
});
