import type { Locator, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../fixtures/dashboard.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { waitFor } from '../fixtures/wait.ts';

/** What the browser says of a request that is dropped on purpose. */
const DROPPED = 'ERR_CONNECTION_RESET';

let engine: TestEngine;
let dashboard: Dashboard;
let page: Page;

const row = (name: string): Locator => page.getByRole('row', { name, exact: true });
const dialogOf = (name: string): Locator => page.getByRole('dialog', { name, exact: true });
const button = (name: string): Locator => page.getByRole('button', { name, exact: true });

async function goTo(name: string): Promise<void> {
  await page
    .getByRole('navigation')
    .getByRole('link', { name: new RegExp(`^${name}`) })
    .click();
  await page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
}

/** What is read of a row inside the browser. */
interface RowElement {
  readonly ariaLabel: string;
  getBoundingClientRect(): { readonly top: number };
}

/** Names of the rows that a list shows, from top to bottom, without its header. All are read at one moment. */
async function rowNames(): Promise<string[]> {
  const rows = await page
    .getByRole('grid')
    .locator('[data-key]')
    .evaluateAll((shown: readonly RowElement[]) =>
      shown.map((one) => ({ name: one.ariaLabel, top: one.getBoundingClientRect().top })),
    );
  return rows.sort((first, second) => first.top - second.top).map(({ name }) => name);
}

async function expectRows(...names: readonly string[]): Promise<void> {
  await waitFor(`the rows ${names.join(', ')}`, async () => {
    const shown = await rowNames();
    if (shown.join() !== names.join()) {
      throw new Error(`shown: ${shown.join(', ')}`);
    }
    return true;
  });
}

async function chooseFromMenu(of: string, item: string): Promise<void> {
  await button(`Actions for ${of}`).click();
  await page.getByRole('menuitem', { name: item, exact: true }).click();
}

beforeAll(async () => {
  engine = await startEngine();
  const { ok } = engine.docker;
  const project = (service: string): string[] => [
    '--label=com.docker.compose.project=shop',
    `--label=com.docker.compose.service=${service}`,
  ];
  const sleep = ['--init', 'busybox', 'sleep', '9999'];
  await ok(['run', '-d', '--name', 'alpha', ...sleep]);
  await ok(['run', '-d', '--name', 'beta', ...sleep]);
  await ok(['create', '--name', 'gamma', 'busybox']);
  await ok(['run', '-d', '--name', 'shop-db-1', ...project('db'), ...sleep]);
  await ok(['run', '-d', '--name', 'shop-web-1', ...project('web'), ...sleep]);
  dashboard = await startDashboard(engine.socketPath, engine.folder);
  page = await dashboard.open();
});

afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

it('keyboard › digits change the page, the slash searches, escape closes', async () => {
  await row('alpha').waitFor();
  for (const [digit, name] of [
    ['2', 'Images'],
    ['3', 'Volumes'],
    ['4', 'Networks'],
    ['5', 'Disk'],
    ['6', 'Settings'],
    ['1', 'Containers'],
  ] as const) {
    await page.keyboard.press(`Control+${digit}`);
    await page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
  }
  await row('alpha').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('bet');
  await expectRows('beta');
  await page.getByRole('button', { name: 'Clear search' }).click();
  await button('Run container').click();
  await dialogOf('Run a container').waitFor();
  await page.keyboard.press('Escape');
  await dialogOf('Run a container').waitFor({ state: 'detached' });
});

it('keyboard › the palette opens a container', async () => {
  await page.keyboard.press('Control+k');
  const palette = dialogOf('Command palette');
  await palette.getByRole('combobox').fill('alpha');
  await palette
    .getByRole('option', { name: /^alpha/ })
    .first()
    .waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'alpha', exact: true, level: 1 }).waitFor();
  await goTo('Containers');
});

it('containers › are searched, filtered, sorted and grouped by project', async () => {
  await expectRows('alpha', 'beta', 'gamma', 'shop', 'shop-db-1', 'shop-web-1');
  await button('Collapse shop').click();
  await expectRows('alpha', 'beta', 'gamma', 'shop');
  await button('Expand shop').click();
  await page.getByRole('radio', { name: 'Stopped' }).click();
  await expectRows('gamma');
  await page.getByRole('radio', { name: 'All' }).click();
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await expectRows('shop', 'shop-web-1', 'shop-db-1', 'gamma', 'beta', 'alpha');
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await page.getByLabel('Search containers').fill('no such thing');
  await page.getByText('Nothing matches', { exact: true }).waitFor();
  await button('Show all').click();
  await expectRows('alpha', 'beta', 'gamma', 'shop', 'shop-db-1', 'shop-web-1');
});

it('containers › several are stopped and removed at once', async () => {
  for (const name of ['alpha', 'beta']) {
    await row(name).hover();
    await row(name).getByRole('checkbox').click();
  }
  const bulk = page.getByRole('toolbar', { name: 'Actions for the selection' });
  await bulk.getByText('2 selected').waitFor();
  await bulk.getByRole('button', { name: 'Stop', exact: true }).click();
  await row('alpha')
    .getByText(/^Exited/)
    .waitFor();
  await row('beta')
    .getByText(/^Exited/)
    .waitFor();
  await bulk.getByRole('button', { name: 'Remove…' }).click();
  const ask = page.getByRole('alertdialog');
  await ask.getByText('Remove 2 containers?').waitFor();
  await ask.getByRole('button', { name: 'Remove', exact: true }).click();
  await expectRows('gamma', 'shop', 'shop-db-1', 'shop-web-1');
});

it('containers › a compose project is stopped, started and shown as one log', async () => {
  await button('Stop shop').click();
  await row('shop').getByText('0 of 2 running').waitFor();
  await button('Start shop').click();
  await row('shop').getByText('2 of 2 running').waitFor();
  await chooseFromMenu('shop', 'Project logs');
  await page.getByRole('heading', { name: 'shop logs' }).waitFor();
  await goTo('Containers');
});

it('containers › one is renamed', async () => {
  await chooseFromMenu('gamma', 'Rename…');
  const dialog = page.getByRole('alertdialog');
  await dialog.getByLabel('Name', { exact: true }).fill('delta');
  await dialog.getByRole('button', { name: 'Rename', exact: true }).click();
  await row('delta').waitFor();
  await row('gamma').waitFor({ state: 'detached' });
});

it('inspect › the JSON is searched', async () => {
  await row('shop-db-1').click();
  await page.getByRole('tab', { name: 'Inspect' }).click();
  await page.getByRole('radio', { name: 'JSON' }).click();
  await page.getByLabel('Search JSON').fill('com.docker.compose.service');
  await page.getByText(/^[1-9]\d* match(es)?$/).waitFor();
  await page.getByText('com.docker.compose.service').first().waitFor();
  await page.getByLabel('Search JSON').fill('no such thing');
  await page.getByText('Nothing matches.').waitFor();
});

it('images › are loaded from a file, tagged and removed', async () => {
  await goTo('Images');
  await page
    .getByLabel('Load from file')
    .last()
    .setInputFiles(await webArchive());
  await row('web:latest').waitFor();
  await chooseFromMenu('web:latest', 'Add tag…');
  const tag = page.getByRole('alertdialog');
  await tag.getByLabel('Repository', { exact: true }).fill('shop/front');
  await tag.getByLabel('Tag', { exact: true }).fill('2');
  await tag.getByRole('button', { name: 'Add tag', exact: true }).click();
  await page.getByText('shop/front').or(page.getByText('+1 more')).first().waitFor();
  expect(await engine.docker.ok(['images', '-q', 'shop/front:2'])).not.toBe('');
  await engine.docker.ok(['rmi', 'shop/front:2']);
  await chooseFromMenu('web:latest', 'Remove…');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await row('web:latest').waitFor({ state: 'detached' });
});

it('volumes › are created and removed', async () => {
  await goTo('Volumes');
  await button('Create volume').first().click();
  const dialog = page.getByRole('alertdialog');
  await dialog.getByLabel('Name', { exact: true }).fill('ledger');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await row('ledger').click();
  await page.getByText('No container uses this volume.').waitFor();
  await goTo('Volumes');
  await chooseFromMenu('ledger', 'Remove…');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByText('No volumes yet').waitFor();
});

it('networks › are created, connected and removed', async () => {
  await goTo('Networks');
  await button('Create network').first().click();
  const dialog = dialogOf('Create a network');
  await dialog.getByLabel('Name', { exact: true }).fill('backbone');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await row('backbone').waitFor();
  await engine.docker.ok(['network', 'connect', 'backbone', 'shop-db-1']);
  await row('backbone').click();
  await page.getByText('shop-db-1', { exact: true }).waitFor();
  await button('Disconnect shop-db-1').click();
  await page.getByText('No container is connected.').waitFor();
  await goTo('Networks');
  await chooseFromMenu('backbone', 'Remove…');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove', exact: true }).click();
  await row('backbone').waitFor({ state: 'detached' });
});

it('settings › the theme stays after a reload', async () => {
  await goTo('Settings');
  await page.getByRole('radio', { name: 'Dark', exact: true }).click();
  const theme = page.locator('html[data-theme="dark"]');
  await theme.waitFor({ state: 'attached' });
  await waitFor('the reload', async () => await page.reload());
  await theme.waitFor({ state: 'attached' });
  await page.getByRole('heading', { name: 'Settings', exact: true, level: 1 }).waitFor();
});

it('loading › a part that the browser drops is asked for again', async () => {
  const dropped: string[] = [];
  await page.route(/networks-page-.*\.js$/, async (route) => {
    if (dropped.length === 0) {
      dropped.push(route.request().url());
      await route.abort('connectionreset');
    } else {
      await route.continue();
    }
  });
  await waitFor('the reload', async () => await page.reload());
  await goTo('Networks');
  await row('bridge').waitFor();
  expect(dropped).toHaveLength(1);
  await page.unrouteAll({ behavior: 'wait' });
});

it('no page said anything on its error console', () => {
  expect(dashboard.problems.filter((text) => !text.includes(DROPPED))).toEqual([]);
});

it('disconnected › the page says that its host is gone and keeps what it knows', async () => {
  await goTo('Containers');
  await dashboard.kill();
  await page.getByRole('alert').getByText('The connection to Gantry was lost.').waitFor();
  await page.getByText('Gantry not reachable', { exact: true }).waitFor();
  await row('delta').waitFor();
});
