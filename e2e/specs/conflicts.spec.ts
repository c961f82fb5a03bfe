import { randomInt } from 'node:crypto';
import type { Locator, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { canBind } from '../../electron/host/ports.ts';
import { type Dashboard, startDashboard } from '../fixtures/dashboard.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { startRegistry, type TestRegistry } from '../fixtures/registry.ts';
import { waitFor } from '../fixtures/wait.ts';

let engine: TestEngine;
let registry: TestRegistry;
let dashboard: Dashboard;
let page: Page;
/** Published by the container `holder`. */
let port: string;

async function goTo(name: string): Promise<void> {
  await page
    .getByRole('navigation')
    .getByRole('link', { name: new RegExp(`^${name}`) })
    .click();
}

/** A port that nobody listens on, below those that the kernel gives to outgoing connections. */
async function quietPort(): Promise<number> {
  return await waitFor('a free port', async () => {
    const candidate = 20_000 + randomInt(10_000);
    return (await canBind(candidate, 'tcp')) && candidate;
  });
}

/** The dialog of a title; notifications are dialogs too. */
function dialogOf(name: string): Locator {
  return page.getByRole('dialog', { name, exact: true });
}

beforeAll(async () => {
  engine = await startEngine();
  registry = await startRegistry();
  const { ok } = engine.docker;
  port = String(await quietPort());
  await ok(['run', '-d', '--name', 'holder', '-p', `${port}:80`, 'busybox', 'sleep', '9999']);
  await ok(['volume', 'create', 'raced']);
  await ok(['volume', 'create', 'free']);
  dashboard = await startDashboard(engine.socketPath, engine.folder);
  page = await dashboard.open();
});

afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

it('run › a taken name is said while it is typed', async () => {
  const dialog = dialogOf('Run a container');
  await page.getByRole('row', { name: 'holder', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Run container' }).first().click();
  await dialog.getByRole('combobox', { name: 'Image' }).fill('busybox');
  await dialog.getByLabel('Name', { exact: true }).fill('holder');
  await dialog.getByText('Another container has this name.').waitFor();
  await dialog.getByLabel('Name', { exact: true }).fill('second');
  await dialog.getByText('Another container has this name.').waitFor({ state: 'detached' });
});

it('run › a taken port names its owner and a free one is a click away', async () => {
  const dialog = dialogOf('Run a container');
  await dialog
    .getByRole('tab', { name: 'Ports' })
    .or(dialog.getByRole('button', { name: 'Ports' }))
    .first()
    .click();
  await dialog.getByRole('button', { name: 'Add port' }).click();
  await dialog.getByLabel('Container port 1', { exact: true }).fill('80');
  await dialog.getByLabel('Host port 1', { exact: true }).fill(port);
  await dialog.getByText(`${port} is used by the container holder.`).waitFor();
  const use = dialog.getByRole('button', { name: /^Use \d+$/ });
  const free = /\d+/.exec(await use.innerText())?.[0] ?? '';
  expect(free).not.toBe(port);
  await use.click();
  await dialog.getByText(/is used by/).waitFor({ state: 'detached' });
  await dialog.getByRole('button', { name: 'Run', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  await waitFor('the port', async () => {
    const answer = await engine.api('GET', '/containers/second/json');
    return answer.text.includes(`"HostPort":"${free}"`);
  });
});

it('pull › a failed one shows what the registry said', async () => {
  const dialog = dialogOf('Pull an image');
  await goTo('Images');
  await page.getByRole('button', { name: 'Pull image' }).first().click();
  await dialog.getByLabel('Image', { exact: true }).fill(`${registry.host}/no/such:1`);
  await dialog.getByRole('button', { name: 'Pull', exact: true }).click();
  await dialog.getByText('The pull failed').waitFor();
  await dialog
    .getByText(/manifest unknown|not found/)
    .first()
    .waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
});

it('clean up › a volume that a container took after the preview survives and is reported', async () => {
  const dialog = dialogOf('Clean up');
  await goTo('Disk');
  await page.getByRole('button', { name: 'Clean up Volumes' }).click();
  await dialog.getByRole('switch', { name: /Named volumes too/ }).click();
  await dialog.getByRole('checkbox', { name: 'Delete raced' }).waitFor();
  await dialog.getByRole('checkbox', { name: 'Delete free' }).waitFor();
  await engine.docker.ok([
    'run',
    '-d',
    '--name',
    'taker',
    '-v',
    'raced:/data',
    'busybox',
    'sh',
    '-c',
    'echo kept > /data/file; exec sleep 9999',
  ]);
  await dialog.getByRole('button', { name: /^Delete 2 items/ }).click();
  await dialog.getByText(/1 could not be deleted/).waitFor();
  await dialog.getByText(/^raced: /).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  expect(await engine.docker.ok(['volume', 'ls', '-q'])).toBe('raced');
  expect(await engine.docker.ok(['exec', 'taker', 'cat', '/data/file'])).toBe('kept');
});

it('no page said anything on its error console', () => {
  expect(dashboard.problems).toEqual([]);
});
