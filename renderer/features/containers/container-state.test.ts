import { describe, expect, it } from 'vitest';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { portLinks, stateView } from './container-state.ts';

const container: ContainerSummary = {
  id: 'c1',
  name: 'web',
  image: 'nginx',
  imageId: 'sha256:1',
  command: 'nginx',
  createdAtMs: 0,
  state: 'running',
  health: 'none',
  ports: [],
  labels: {},
  networks: [],
  mounts: [],
};

describe('stateView', () => {
  it('shows work under way before the state it leads from', () => {
    expect(stateView(container, 'stopping')).toMatchObject({ label: 'Stopping…', isLive: true });
  });

  it('is alarmed by a failing health check and a failing exit, not by an ordinary stop', () => {
    expect(stateView({ ...container, health: 'unhealthy' }, undefined).tone).toBe('bad');
    expect(stateView({ ...container, state: 'exited', exitCode: 1 }, undefined)).toMatchObject({
      label: 'Exited (1)',
      tone: 'bad',
    });
    expect(stateView({ ...container, state: 'exited', exitCode: 137 }, undefined).tone).toBe(
      'idle',
    );
    expect(
      stateView({ ...container, state: 'exited', exitCode: 137, isOomKilled: true }, undefined)
        .label,
    ).toBe('Out of memory');
  });
});

describe('portLinks', () => {
  it('shows a port once for both address families and leaves out what is only exposed', () => {
    const links = portLinks([
      { hostIp: '0.0.0.0', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostIp: '::', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { containerPort: 443, protocol: 'tcp' },
    ]);
    expect(links).toHaveLength(1);
    expect(links[0]).toMatchObject({ label: '8080:80', url: 'http://localhost:8080/' });
  });

  it('links only what a browser can open', () => {
    const links = portLinks([
      { hostIp: '0.0.0.0', hostPort: 53, containerPort: 53, protocol: 'udp' },
      { hostIp: '192.168.1.4', hostPort: 8443, containerPort: 443, protocol: 'tcp' },
      { hostIp: 'fd00::1', hostPort: 9000, containerPort: 9000, protocol: 'tcp' },
    ]);
    expect(links.map((link) => link.url)).toEqual([
      undefined,
      'https://192.168.1.4:8443/',
      'http://[fd00::1]:9000/',
    ]);
  });
});
