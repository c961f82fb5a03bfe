import { describe, expect, it } from 'vitest';
import {
  type ContainerCreateBody,
  containerCreateBodySchema,
  containerUpdateBodySchema,
} from './container.ts';
import { decode } from './wire.ts';

const read = (value: unknown): ContainerCreateBody =>
  decode(containerCreateBodySchema, value, 'request body');

describe('container create body', () => {
  it('matches keys without regard to case at every level', () => {
    const body = read({
      image: 'busybox',
      hostconfig: { memory: 5, restartPolicy: { NAME: 'always' } },
    });
    expect(body.Image).toBe('busybox');
    expect(body.HostConfig?.Memory).toBe(5);
    expect(body.HostConfig?.RestartPolicy?.Name).toBe('always');
  });

  it('takes null as absent and ignores unknown fields', () => {
    const body = read({ Cmd: null, Env: null, HostConfig: { Binds: null }, Nonsense: [1] });
    expect(body).toEqual({ HostConfig: {} });
  });

  it('takes one text for a list in Cmd, Entrypoint and capabilities', () => {
    const body = read({
      Cmd: 'ls',
      Entrypoint: '',
      HostConfig: { CapAdd: 'ALL', CapDrop: ['a', 'b'] },
    });
    expect(body.Cmd).toEqual(['ls']);
    expect(body.Entrypoint).toEqual(['']);
    expect(body.HostConfig?.CapAdd).toEqual(['ALL']);
  });

  it('keeps keys of maps as they are', () => {
    const body = read({
      ExposedPorts: { '80/tcp': {}, '81/udp': null },
      Labels: { A: 'x', a: null },
      HostConfig: { PortBindings: { '80/tcp': null, '81/udp': [{ hostport: '9' }] } },
      NetworkingConfig: { EndpointsConfig: { Net: null, other: { Aliases: ['x'] } } },
    });
    expect(body.ExposedPorts).toEqual({ '80/tcp': {}, '81/udp': {} });
    expect(body.Labels).toEqual({ A: 'x', a: '' });
    expect(body.HostConfig?.PortBindings).toEqual({ '80/tcp': [], '81/udp': [{ HostPort: '9' }] });
    expect(body.NetworkingConfig?.EndpointsConfig).toEqual({ Net: {}, other: { Aliases: ['x'] } });
  });

  it.each([
    [
      { HostConfig: { Memory: '5' } },
      'invalid request body: HostConfig.Memory: expected number, got string',
    ],
    [{ Hostname: 5 }, 'invalid request body: Hostname: expected string, got number'],
    [{ Env: ['a', 3] }, 'invalid request body: Env.1: expected string, got number'],
    [{ Cmd: { a: 1 } }, 'invalid request body: Cmd: expected string or array of strings'],
    [
      { HostConfig: { BlkioWeight: 70_000 } },
      'invalid request body: HostConfig.BlkioWeight: number out of range',
    ],
    [
      { HostConfig: { CpuShares: 1.5 } },
      'invalid request body: HostConfig.CpuShares: expected a whole number',
    ],
    [{ HostConfig: [] }, 'invalid request body: HostConfig: expected object, got array'],
    ['text', 'invalid request body: expected object, got string'],
  ])('refuses %j', (value, message) => {
    expect(() => read(value)).toThrow(message);
  });

  it('is not fooled by prototype names', () => {
    const body = read(
      JSON.parse('{"__proto__":{"Image":"x"},"Labels":{"constructor":"c"},"toString":1}'),
    );
    expect(body.Image).toBeUndefined();
    expect(body.Labels).toEqual({ constructor: 'c' });
  });
});

describe('container update body', () => {
  it('reads limits and the restart policy', () => {
    expect(
      decode(
        containerUpdateBodySchema,
        { Memory: 1, RestartPolicy: { Name: 'no' } },
        'request body',
      ),
    ).toEqual({ Memory: 1, RestartPolicy: { Name: 'no' } });
  });
});
