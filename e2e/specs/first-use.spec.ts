import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../fixtures/dashboard.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { startRegistry, type TestRegistry } from '../fixtures/registry.ts';
import { waitFor } from '../fixtures/wait.ts';

let engine: TestEngine;
let registry: TestRegistry;
let dashboard: Dashboard;
let page: Page;

/** Prints in a colour of its own, on one of 256, underlined in a third. */
const COLOURS = String.raw`printf '\033[38;2;200;100;50mown\033[48;5;27m256\033[4;58;2;9;9;200mline\033[7;1mbold\033[0m\n'`;

/** Text of all elements that a locator finds. */
async function textOf(selector: string): Promise<string> {
  return (await page.locator(selector).allInnerTexts()).join('\n');
}

beforeAll(async () => {
  engine = await startEngine();
  registry = await startRegistry();
  await engine.docker.ok(['tag', 'busybox', `${registry.host}/team/box:1`]);
  await engine.docker.ok(['push', `${registry.host}/team/box:1`]);
  await engine.docker.ok(['rmi', 'busybox', `${registry.host}/team/box:1`]);
  dashboard = await startDashboard(engine.socketPath, engine.folder);
  page = await dashboard.open();
});

afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

it('a new engine › shows empty pages that say what to do', async () => {
  await page.getByText('Engine running').waitFor();
  await page.getByRole('button', { name: 'Run container' }).first().waitFor();
  expect(page.url()).not.toContain('token');
});

it('pull › shows progress by layer and ends with the image in the list', async () => {
  await page.getByRole('link', { name: /^Images/ }).click();
  await page.getByText('No images yet').waitFor();
  await page.getByRole('button', { name: 'Pull image' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Image', { exact: true }).fill(`${registry.host}/team/box:1`);
  await dialog.getByRole('button', { name: 'Pull', exact: true }).click();
  await dialog
    .getByText(/Pull complete|Complete|Done|Downloaded/i)
    .first()
    .waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await page.getByText(`${registry.host}/team/box`).first().waitFor();
});

it('run › starts a container with name, environment and a published port', async () => {
  await page.getByRole('link', { name: /^Containers/ }).click();
  await page.getByRole('button', { name: 'Run container' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox', { name: 'Image' }).fill(`${registry.host}/team/box:1`);
  await dialog.getByLabel('Name', { exact: true }).fill('first');
  await dialog
    .getByRole('button', { name: 'Command' })
    .or(dialog.getByRole('tab', { name: 'Command' }))
    .first()
    .click();
  await dialog
    .getByLabel('Command', { exact: true })
    .last()
    .fill(`sh -c 'n=0; while true; do n=$((n+1)); echo "tick $n"; sleep 0.2; done'`);
  await dialog
    .getByRole('button', { name: /^(Run|Start)/ })
    .last()
    .click();
  await waitFor('the container to run', async () => {
    const answer = await engine.api('GET', '/containers/first/json');
    return answer.status === 200 && answer.text.includes('"Running":true');
  });
});

it('log › is shown live', async () => {
  await page.getByRole('link', { name: /^Containers/ }).click();
  await page.getByText('first', { exact: true }).first().click();
  await page.getByRole('tab', { name: 'Logs' }).click();
  await page.getByText('tick 3', { exact: true }).first().waitFor();
});

it('stats › draws charts with numbers', async () => {
  await page.getByRole('tab', { name: 'Stats' }).click();
  await page.locator('canvas').first().waitFor();
  await waitFor('a memory figure', async () => /[0-9.]+ [KM]iB/.test(await textOf('main')));
});

it('terminal › runs what is typed and has the size of the view', async () => {
  await page.getByRole('tab', { name: 'Terminal' }).click();
  const terminal = page.locator('.xterm').first();
  await terminal.waitFor();
  await terminal.click();
  await waitFor('the prompt', async () => (await textOf('.xterm-rows')).includes('#'));
  // Colours are set on elements one by one: the page's content policy must not mind.
  await page.keyboard.type(`${COLOURS}; stty size; echo typed-$((40+2))\n`);
  await waitFor('the answer', async () => (await textOf('.xterm-rows')).includes('typed-42'));
  const size = /(\d+) (\d+)/.exec(await textOf('.xterm-rows'));
  expect(Number(size?.[1])).toBeGreaterThan(10);
  expect(Number(size?.[2])).toBeGreaterThan(60);
});

it('stop and clean up › deletes exactly what the preview shows', async () => {
  await engine.docker.ok(['kill', 'first']);
  await engine.docker.ok(['create', '--name', 'kept', `${registry.host}/team/box:1`]);
  await page.getByRole('link', { name: /^Disk/ }).click();
  await page.getByRole('button', { name: 'Clean up Containers' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('first', { exact: true }).waitFor();
  await dialog.getByRole('checkbox', { name: /Delete kept/ }).click();
  await dialog.getByRole('button', { name: /^Delete 1 item/ }).click();
  await dialog.getByText(/freed, 1 item/).waitFor();
  const names = await engine.docker.ok(['ps', '-a', '--format', '{{.Names}}']);
  expect(names).toBe('kept');
});

it('no page said anything on its error console', () => {
  expect(dashboard.problems).toEqual([]);
});
