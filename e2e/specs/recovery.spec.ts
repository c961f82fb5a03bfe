import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../fixtures/dashboard.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { waitFor } from '../fixtures/wait.ts';

const COUNTER = 'n=0; while true; do n=$((n+1)); echo "line $n end"; sleep 0.05; done';

let engine: TestEngine;
let dashboard: Dashboard;
let log: Page;
let terminal: Page;

/** Numbers of the counter's lines that a page shows, from top to bottom. */
async function shownNumbers(page: Page): Promise<number[]> {
  const shown = await page.getByRole('log').innerText();
  return [...shown.matchAll(/line (\d+) end/g)].map((match) => Number(match[1]));
}

async function screenOf(page: Page): Promise<string> {
  return (await page.locator('.xterm-rows').allInnerTexts()).join('\n');
}

async function openContainer(page: Page, name: string, tab: string): Promise<void> {
  await page.getByRole('row', { name, exact: true }).click();
  await page.getByRole('tab', { name: tab, exact: true }).click();
}

/** Highest number that was shown when the engine was killed, and the number written by then. */
let lastBefore = 0;

beforeAll(async () => {
  engine = await startEngine();
  await engine.docker.ok(['run', '-d', '--name', 'counter', 'busybox', 'sh', '-c', COUNTER]);
  await engine.docker.ok([
    'run',
    '-d',
    '--name',
    'always',
    '--restart=always',
    'busybox',
    'sleep',
    '9999',
  ]);
  await engine.docker.ok(['create', '--name', 'idle', 'busybox']);
  dashboard = await startDashboard(engine.socketPath, engine.folder);
  log = await dashboard.open();
  terminal = await dashboard.open();
});

afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

it('before › a log is followed and a terminal is open', async () => {
  await openContainer(log, 'counter', 'Logs');
  await waitFor('lines', async () => (await shownNumbers(log)).length > 5);
  await openContainer(terminal, 'counter', 'Terminal');
  await waitFor('the prompt', async () => (await screenOf(terminal)).includes('#'));
  await terminal.locator('.xterm').click();
  await terminal.keyboard.type('echo before-$((40+2))\n');
  await waitFor('the answer', async () => (await screenOf(terminal)).includes('before-42'));
});

it('killed › both pages say so and keep what they show', async () => {
  await engine.kill();
  for (const page of [log, terminal]) {
    await page.getByRole('alert').getByText('The engine is not reachable.').waitFor();
    await page.getByText('Engine not reachable', { exact: true }).waitFor();
  }
  await log.getByText('Waiting for the engine', { exact: true }).waitFor();
  lastBefore = Math.max(...(await shownNumbers(log)));
  expect(lastBefore).toBeGreaterThan(5);
});

it('started again › the banner goes and the log continues without gap or duplicate', async () => {
  await engine.start();
  for (const page of [log, terminal]) {
    await page.getByText('Engine running', { exact: true }).waitFor();
    await page.getByRole('alert').waitFor({ state: 'detached' });
  }
  await waitFor('new lines', async () => Math.max(...(await shownNumbers(log))) > lastBefore + 20);
  await log.getByText('Live', { exact: true }).waitFor();
  const held: number[] = await waitFor('the copied log', async () => {
    await log.getByRole('button', { name: 'More log actions' }).click();
    await log.getByRole('menuitem', { name: 'Copy visible lines' }).click();
    const copied = String(await log.evaluate('navigator.clipboard.readText()'));
    const numbers = [...copied.matchAll(/^line (\d+) end$/gm)].map((match) => Number(match[1]));
    return numbers.length > lastBefore && numbers;
  });
  expect(held).toEqual(held.map((_, index) => index + 1));
});

it('started again › the terminal continues, or says what happened and opens again', async () => {
  await waitFor('a shell that answers', async () => {
    const again = terminal.getByRole('button', { name: 'Open another' });
    if (await again.isVisible()) {
      await again.click();
    }
    await terminal.locator('.xterm').first().click();
    await terminal.keyboard.type('echo after-$((40+2))\n');
    return (await screenOf(terminal)).includes('after-42');
  });
});

it('started again › the list shows every container as it is', async () => {
  await log
    .getByRole('navigation')
    .getByRole('link', { name: /^Containers/ })
    .click();
  const stateOf = (name: string) => log.getByRole('row', { name, exact: true });
  await stateOf('counter').getByText('Running', { exact: true }).waitFor();
  await stateOf('always').getByText('Running', { exact: true }).waitFor();
  await stateOf('idle').getByText('Created', { exact: true }).waitFor();
  await engine.docker.ok(['rm', 'idle']);
  await stateOf('idle').waitFor({ state: 'detached' });
});

it('no page threw', () => {
  expect(dashboard.problems).toEqual([]);
});
