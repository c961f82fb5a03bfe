import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
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

async function inspect(name: string, format: string): Promise<string> {
  return await docker.ok(['inspect', '--format', format, name]);
}

/** A process that ends at SIGTERM with 7. */
const POLITE = ['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.1; done'];

async function startPolite(name: string, ...flags: string[]): Promise<void> {
  await docker.ok(['run', '-d', '--name', name, ...flags, 'busybox', ...POLITE]);
  await waitFor('the trap', async () => (await docker.ok(['logs', name])).includes('ready'));
}

describe('stop, kill, pause, restart', () => {
  it('stops with the signal and ends the rest after the timeout', async () => {
    await startPolite('polite');
    expect(await docker.ok(['stop', 'polite'])).toBe('polite');
    expect(await inspect('polite', '{{.State.Status}} {{.State.ExitCode}}')).toBe('exited 7');
    expect(await docker.ok(['stop', 'polite'])).toBe('polite');
    await docker.ok(['start', 'polite']);
    await docker.ok(['restart', '-t', '0', 'polite']);
    expect(await inspect('polite', '{{.State.Running}}')).toBe('true');
    await docker.ok(['kill', '--signal', 'KILL', 'polite']);
    expect(await docker.ok(['wait', 'polite'])).toBe('137');
    const again = await docker(['kill', 'polite']);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toMatch(
      /cannot kill container: polite: container [0-9a-f]{64} is not running/,
    );
    await docker.ok(['rm', 'polite']);
    await docker.ok(['run', '-d', '--name', 'stubborn', 'busybox', 'sleep', '1000']);
    await docker.ok(['stop', '-t', '1', 'stubborn']);
    expect(await inspect('stubborn', '{{.State.ExitCode}}')).toBe('137');
    await docker.ok(['rm', 'stubborn']);
  });

  it('uses the stop signal of the container', async () => {
    await docker.ok(
      words(
        'run -d --name usr1 --stop-signal USR1 busybox sh -c',
        'trap "exit 9" USR1; echo ready; while :; do sleep 0.1; done',
      ),
    );
    await waitFor('the trap', async () => (await docker.ok(['logs', 'usr1'])).includes('ready'));
    await docker.ok(['stop', 'usr1']);
    expect(await inspect('usr1', '{{.State.ExitCode}}')).toBe('9');
    await docker.ok(['rm', 'usr1']);
  });

  it('freezes with pause and goes on with unpause', async () => {
    await docker.ok(
      words('run -d --name ticker busybox sh -c', 'while :; do echo tick; sleep 0.05; done'),
    );
    await docker.ok(['pause', 'ticker']);
    expect(await inspect('ticker', '{{.State.Status}} {{.State.Running}} {{.State.Paused}}')).toBe(
      'paused true true',
    );
    expect((await docker(['pause', 'ticker'])).stderr).toContain('is already paused');
    expect((await docker(['exec', 'ticker', 'true'])).stderr).toContain(
      'is paused, unpause the container before exec',
    );
    const frozen = await waitFor('silence', async () => {
      const text = await docker.ok(['logs', 'ticker']);
      return (await docker.ok(['logs', 'ticker'])) === text && text;
    });
    await docker.ok(['unpause', 'ticker']);
    await waitFor(
      'new ticks',
      async () => (await docker.ok(['logs', 'ticker'])).length > frozen.length,
    );
    expect((await docker(['unpause', 'ticker'])).stderr).toContain('is not paused');
    const refused = await docker(['rm', 'ticker']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(
      /container is running: stop the container before removing or force remove|You cannot remove a running container/i,
    );
    await docker.ok(['pause', 'ticker']);
    await docker.ok(['rm', '-f', 'ticker']);
  });
});

describe('restart policies', () => {
  it('on-failure gives up after its count, always goes on until stopped', async () => {
    await docker.ok(words('run -d --name failing --restart on-failure:2 busybox false'));
    await docker.ok(['run', '-d', '--name', 'always', '--restart', 'always', 'busybox', 'true']);
    await docker.ok(words('run -d --name fine --restart on-failure busybox true'));
    await waitFor('the policy to give up', async () => {
      const state = await inspect(
        'failing',
        '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}',
      );
      return state === '2 exited 1';
    });
    await waitFor(
      'restarts',
      async () => Number(await inspect('always', '{{.RestartCount}}')) >= 2,
    );
    expect(await inspect('fine', '{{.RestartCount}} {{.State.Status}}')).toBe('0 exited');
    await docker.ok(['stop', '-t', '0', 'always']);
    const count = await inspect('always', '{{.RestartCount}}');
    expect(await inspect('always', '{{.State.Status}} {{.State.Restarting}}')).toBe('exited false');
    expect(await inspect('always', '{{.RestartCount}}')).toBe(count);
    await docker.ok(['update', '--restart', 'no', 'always']);
    expect(await inspect('always', '{{.HostConfig.RestartPolicy.Name}}')).toBe('no');
    const mixed = await docker(['run', '--rm', '--restart', 'always', 'busybox']);
    expect(mixed.exitCode).toBe(125);
    expect(mixed.stderr).toContain('Conflicting options: --restart and --rm');
    await docker.ok(['rm', '-f', 'failing', 'always', 'fine']);
  });
});

describe('healthchecks', () => {
  it('go from starting over unhealthy to healthy, with log and events', async () => {
    await docker.ok(
      words(
        'run -d --name patient --health-cmd',
        'echo checked; test -f /tmp/ok',
        '--health-interval',
        '200ms',
        '--health-retries',
        '2',
        'busybox',
        'sleep',
        '1000',
      ),
    );
    const status = async (): Promise<string> =>
      await inspect('patient', '{{.State.Health.Status}}');
    await waitFor('unhealthy', async () => (await status()) === 'unhealthy');
    expect(await docker.ok(['ps', '--format', '{{.Status}}'])).toMatch(/\(unhealthy\)$/);
    await docker.ok(['exec', 'patient', 'touch', '/tmp/ok']);
    await waitFor('healthy', async () => (await status()) === 'healthy');
    expect(await docker.ok(['ps', '-q', '--filter', 'health=healthy'])).not.toBe('');
    const log = await inspect(
      'patient',
      '{{range .State.Health.Log}}{{.ExitCode}}:{{.Output}}{{end}}',
    );
    expect(log).toContain('0:checked');
    await waitFor('both events', async () => {
      const events = await docker.ok(
        words(
          'events --since 1h --until 0s --filter container=patient --filter event=health_status --format {{.Status}}',
        ),
      );
      return events === 'health_status: unhealthy\nhealth_status: healthy';
    });
    await docker.ok(['rm', '-f', 'patient']);
  });
});

describe('exec', () => {
  it('runs beside the process, with its own settings and exit codes', async () => {
    await docker.ok(['run', '-d', '--name', 'host', '-e', 'A=1', 'busybox', 'sleep', '1000']);
    const exec = async (
      ...args: string[]
    ): Promise<{ exitCode: number; stdout: string; stderr: string }> =>
      await docker(['exec', ...args]);
    const [plain, failing, missing, forbidden, set, detached] = await Promise.all([
      exec('host', 'sh', '-c', 'echo $A; pwd; id -u; echo err >&2'),
      exec('host', 'sh', '-c', 'exit 4'),
      exec('host', 'nosuch'),
      exec('host', '/etc/passwd'),
      exec('-e', 'A=2', '-w', '/tmp', '-u', '33', 'host', 'sh', '-c', 'echo $A; pwd; id -u'),
      exec('-d', 'host', 'touch', '/tmp/detached'),
    ]);
    expect(plain).toMatchObject({ exitCode: 0, stdout: '1\n/\n0\n', stderr: 'err\n' });
    expect(failing.exitCode).toBe(4);
    expect(missing.exitCode).toBe(126 + 1);
    expect(missing.stdout + missing.stderr).toContain(
      'exec: "nosuch": executable file not found in $PATH',
    );
    expect(forbidden.exitCode).toBe(126);
    expect(forbidden.stdout + forbidden.stderr).toContain('permission denied');
    expect(set.stdout).toBe('2\n/tmp\n33\n');
    expect(detached.exitCode).toBe(0);
    await waitFor(
      'the detached command',
      async () => (await exec('host', 'test', '-f', '/tmp/detached')).exitCode === 0,
    );
    const piped = await docker(['exec', '-i', 'host', 'wc', '-c'], { input: 'x'.repeat(200_000) });
    expect(piped.stdout.trim()).toBe('200000');
    const privileged = await exec('--privileged', 'host', 'grep', 'CapEff', '/proc/self/status');
    expect(privileged.stdout).not.toContain('00000000a80425fb');
    await docker.ok(['kill', 'host']);
    const late = await exec('host', 'true');
    expect(late.exitCode).toBe(1);
    expect(late.stderr).toMatch(/[Cc]ontainer [0-9a-f]{64} is not running/);
    await docker.ok(['rm', 'host']);
    expect((await exec('nobody', 'true')).stderr).toContain('No such container: nobody');
  });
});
