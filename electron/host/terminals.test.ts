import { describe, expect, it } from 'vitest';
import type { BridgeClient } from '../contract/client.ts';
import type { FakeProgram } from './testing/fake-engine.ts';
import { openPage, readUntil, until } from './testing/page.ts';

const SIZE = { cols: 100, rows: 30 };

/** A shell that greets, echoes what it gets, and ends on `exit`. */
const echoShell: FakeProgram = (socket, exec) => {
  socket.write('$ ');
  socket.on('data', (data) => {
    const text = data.toString();
    socket.write(`[${text}]`);
    if (text.includes('exit')) {
      exec.running = false;
      exec.exitCode = 3;
      socket.end();
    }
  });
};

async function attach(client: BridgeClient, sessionId: string) {
  const stream = client.open('terminal.attach', { sessionId, ...SIZE });
  const output: Uint8Array[] = [];
  const items: unknown[] = [];
  const reading = (async () => {
    for await (const item of stream) {
      if (item instanceof Uint8Array) {
        output.push(item);
      } else {
        items.push(item);
      }
    }
  })();
  reading.catch(() => {});
  const text = (): string => Buffer.concat(output).toString();
  return {
    stream,
    items,
    text,
    size: () => Buffer.concat(output).length,
    waitFor: (wanted: string) => until(() => text().includes(wanted)),
    type: (input: string) => stream.sendBytes(Buffer.from(input)),
  };
}

describe('terminal.open', () => {
  it('runs a shell that knows its size before the first prompt', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const session = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const terminal = await attach(page.client, session.sessionId);
    await terminal.waitFor('$ ');
    await terminal.type('ls ✓');
    await terminal.waitFor('[ls ✓]');
    const [exec] = page.engine.execs.values();
    expect(exec?.command[0]).toBe('sh');
    expect(exec?.sizes[0]).toBe('100x30');
    await terminal.stream.send({ type: 'resize', cols: 120, rows: 40 });
    await until(() => exec?.sizes.includes('120x40'));
  });

  it('tells the exit code', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const session = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const terminal = await attach(page.client, session.sessionId);
    await terminal.type('exit\n');
    await until(() => terminal.items.length === 2);
    expect(terminal.items[1]).toEqual({ type: 'exit', code: 3 });
    const { sessions } = await page.client.call('terminal.list', { containerId: 'web' });
    expect(sessions[0]?.exit).toEqual({ code: 3 });
  });

  it('goes through the shells and says when there is none', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'bare' });
      engine.program = (socket, exec) => {
        exec.running = false;
        exec.exitCode = 127;
        socket.end('OCI runtime exec failed: exec: "sh": executable file not found in $PATH\r\n');
      };
    });
    const opening = page.client.call('terminal.open', {
      containerId: 'bare',
      kind: 'exec',
      ...SIZE,
    });
    await expect(opening).rejects.toMatchObject({ code: 'no-shell' });
    expect([...page.engine.execs.values()].map((exec) => exec.command[0])).toEqual([
      'sh',
      'bash',
      'ash',
      '/bin/busybox',
    ]);
  });

  it('takes the second shell when the first is missing', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'odd' });
      engine.program = (socket, exec) => {
        if (exec.command[0] === 'sh') {
          exec.running = false;
          exec.exitCode = 127;
          socket.end('OCI runtime exec failed: exec: "sh": executable file not found in $PATH\r\n');
        } else {
          echoShell(socket, exec);
        }
      };
    });
    const session = await page.client.call('terminal.open', {
      containerId: 'odd',
      kind: 'exec',
      ...SIZE,
    });
    const terminal = await attach(page.client, session.sessionId);
    await terminal.waitFor('$ ');
    expect(terminal.text()).not.toContain('OCI runtime');
  });
});

describe('terminal.attach', () => {
  it('shows a page that comes back what it missed', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const first = await attach(page.client, sessionId);
    await first.type('one');
    await first.waitFor('[one]');
    first.stream.close();
    const second = await attach(page.another(), sessionId);
    await second.waitFor('$ [one]');
    expect(second.items[0]).toMatchObject({ type: 'attached', isTruncated: false });
    await second.type('two');
    await second.waitFor('[two]');
  });

  it('shows two pages the same', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const one = await attach(page.client, sessionId);
    const two = await attach(page.another(), sessionId);
    await one.type('hello');
    await one.waitFor('[hello]');
    await two.waitFor('[hello]');
  });

  it('loses no byte of a flood, and holds the program back while the page does not read', async () => {
    const total = 8 * 1024 * 1024;
    let written = 0;
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = (socket, exec) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = (): void => {
          while (written < total) {
            chunk.fill(written / chunk.length);
            written += chunk.length;
            if (!socket.write(Buffer.from(chunk))) {
              socket.once('drain', more);
              return;
            }
          }
          exec.running = false;
          exec.exitCode = 0;
          socket.end();
        };
        socket.once('data', more);
        socket.write('ready');
      };
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const stream = page.client.open('terminal.attach', { sessionId, ...SIZE });
    await readUntil(stream, (item) => item instanceof Uint8Array);
    await stream.sendBytes(Buffer.from('go'));
    // Nobody reads: the writer must come to a halt, however long we look away.
    let before = -1;
    await until(async () => {
      const isStill = written > 0 && written === before;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return isStill;
    });
    expect(written).toBeLessThan(total);
    let received = 0;
    for await (const item of stream) {
      if (item instanceof Uint8Array) {
        for (const byte of item) {
          const expected = Math.floor(received / (64 * 1024)) % 256;
          if (byte !== expected) {
            throw new Error(`byte ${received} is ${byte} instead of ${expected}`);
          }
          received += 1;
        }
      }
    }
    expect(received).toBe(total);
  });

  it('says gone for a session that is closed', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    await page.client.call('terminal.close', { sessionId });
    const stream = page.client.open('terminal.attach', { sessionId, ...SIZE });
    await expect(stream.next()).rejects.toMatchObject({ code: 'gone' });
    await page.client.call('terminal.close', { sessionId });
  });

  it('gets a working shell again after the engine was away', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const terminal = await attach(page.client, sessionId);
    await terminal.waitFor('$ ');
    await page.engine.stop();
    await terminal.waitFor('connection to the engine lost');
    page.engine.execs.clear();
    await page.engine.start();
    await terminal.waitFor('this is a new shell');
    await terminal.type('again');
    await terminal.waitFor('[again]');
  });

  it('joins the same program again where the engine kept it', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'web',
      kind: 'exec',
      ...SIZE,
    });
    const terminal = await attach(page.client, sessionId);
    await terminal.waitFor('$ ');
    await page.engine.stop();
    await page.engine.start();
    await terminal.waitFor('connected again');
    await terminal.type('still here');
    await terminal.waitFor('[still here]');
    expect(page.engine.execs.size).toBe(1);
  });

  it('joins the container’s own terminal', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'tty', hasTty: true });
      engine.program = echoShell;
    });
    const { sessionId } = await page.client.call('terminal.open', {
      containerId: 'tty',
      kind: 'attach',
      ...SIZE,
    });
    const terminal = await attach(page.client, sessionId);
    await terminal.type('hi');
    await terminal.waitFor('[hi]');
  });
});
