import { AxeBuilder } from '@axe-core/playwright';
import type { Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../fixtures/dashboard.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { waitFor } from '../fixtures/wait.ts';

const TALK = 'i=0; while true; do i=$((i+1)); echo "request $i took 12 ms"; sleep 0.2; done';

const CONTRAST = { runOnly: { type: 'rule' as const, values: ['color-contrast'] } };

let engine: TestEngine;
let dashboard: Dashboard;
let page: Page;
/** The second theme differs in its colours only. */
let isOnlyContrast = false;

/** Serious and critical findings, one line each. */
async function findings(): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .options({ resultTypes: ['violations'], ...(isOnlyContrast ? CONTRAST : {}) })
    .setLegacyMode(true)
    .analyze();
  return violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .flatMap((one) =>
      one.nodes.map(
        (node) => `${one.id}: ${node.target.join(' ')}: ${node.html}: ${node.failureSummary ?? ''}`,
      ),
    );
}

async function show(path: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(path)}`);
}

async function idOf(kind: string, name: string): Promise<string> {
  return await engine.docker.ok(['inspect', '--type', kind, '--format', '{{.Id}}', name]);
}

/** Shows one state of the page, checks it, and closes what was opened. */
async function check(open: () => Promise<void>, isDialog = false): Promise<void> {
  await open();
  expect(await findings()).toEqual([]);
  if (isDialog) {
    await page.keyboard.press('Escape');
    await page
      .locator('[role="dialog"], [role="alertdialog"]')
      .first()
      .waitFor({ state: 'detached' });
  }
}

beforeAll(async () => {
  engine = await startEngine();
  const { ok } = engine.docker;
  await ok(['volume', 'create', 'ledger']);
  await ok(['network', 'create', 'backbone']);
  const project = '--label=com.docker.compose.project=shop';
  const options = [
    '--init',
    '--publish=80',
    '--volume=ledger:/data',
    '--network=backbone',
    '--env=TOKEN=secret',
    project,
  ];
  await ok(['run', '-d', '--name', 'talker', ...options, 'busybox', 'sh', '-c', TALK]);
  await ok(['create', '--name', 'idle', 'busybox']);
  await ok(['volume', 'create', 'spare']);
  dashboard = await startDashboard(engine.socketPath, engine.folder);
});

afterAll(async () => {
  await dashboard?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

describe.each([
  { colorScheme: 'light', width: 1280, height: 800 },
  { colorScheme: 'dark', width: 1920, height: 1080 },
] as const)('$colorScheme, $width x $height ›', (options) => {
  const heading = async (name: string): Promise<void> =>
    await page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
  const row = async (name: string): Promise<void> =>
    await page.getByRole('row', { name, exact: true }).waitFor();
  const press = async (name: string): Promise<void> =>
    await page.getByRole('button', { name, exact: true }).first().click();
  const anyDialog = (): Locator => page.locator('[role="dialog"], [role="alertdialog"]').first();
  const choose = async (of: string, item: string): Promise<void> => {
    await press(`Actions for ${of}`);
    await page.getByRole('menuitem', { name: item, exact: true }).click();
    await anyDialog().waitFor();
  };

  beforeAll(async () => {
    page = await dashboard.open(options);
    isOnlyContrast = options.colorScheme === 'dark';
  });

  it('pages', async () => {
    const talker = await idOf('container', 'talker');
    await check(async () => await row('talker'));
    for (const [tab, ready] of [
      ['logs', page.getByText(/^request \d+ took/).first()],
      ['terminal', page.locator('.xterm-rows').getByText('#').first()],
      ['stats', page.locator('canvas').first()],
      ['inspect', page.getByText('TOKEN').first()],
      ['processes', page.getByText(/\d+ processes/)],
      ['changes', page.getByText(/No file differs|\d+ files/).first()],
    ] as const) {
      await check(async () => {
        await show(`/containers/${talker}/${tab}`);
        await ready.waitFor();
      });
    }
    await check(async () => {
      await show('/projects/shop/logs');
      await page
        .getByText(/^request \d+ took/)
        .first()
        .waitFor();
    });
    for (const [path, name, item] of [
      ['/images', 'Images', 'busybox:latest'],
      ['/volumes', 'Volumes', 'ledger'],
      ['/networks', 'Networks', 'backbone'],
    ] as const) {
      await check(async () => {
        await show(path);
        await heading(name);
        await row(item);
      });
    }
    for (const [path, name] of [
      [`/images/${encodeURIComponent(await idOf('image', 'busybox'))}`, 'busybox:latest'],
      ['/volumes/ledger', 'ledger'],
      [`/networks/${await idOf('network', 'backbone')}`, 'backbone'],
      ['/settings', 'Settings'],
    ] as const) {
      await check(async () => {
        await show(path);
        await heading(name);
      });
    }
    await check(async () => {
      await show('/disk');
      await page.getByText('Used by the engine').waitFor();
      await page.getByRole('button', { name: 'Clean up Volumes' }).waitFor();
    });
  });

  it('dialogs', async () => {
    const openDialog = anyDialog();
    await show('/disk');
    await check(async () => {
      await page.getByRole('button', { name: 'Clean up Volumes' }).click();
      await openDialog
        .getByText(/Nothing to clean up|Why/)
        .first()
        .waitFor();
    }, true);
    await show('/containers');
    await row('idle');
    await check(async () => {
      await page.keyboard.press('Control+k');
      await openDialog.getByRole('option').first().waitFor();
    }, true);
    await check(async () => await choose('idle', 'Remove…'), true);
    await check(async () => await choose('idle', 'Rename…'), true);
    await press('Run container');
    const sections = page
      .getByRole('dialog')
      .getByRole('navigation')
      .or(page.getByLabel('Sections'));
    await waitFor('the run dialog', async () => (await sections.count()) > 0);
    for (const section of [
      'Ports',
      'Volumes',
      'Environment',
      'Command',
      'Network',
      'Resources',
      'Labels',
      'Security',
    ]) {
      await check(async () => {
        await openDialog.getByText(section, { exact: true }).first().click();
        await page.getByRole('region', { name: section, exact: true }).waitFor();
      });
    }
    await page.keyboard.press('Escape');
    await openDialog.waitFor({ state: 'detached' });
    await show('/images');
    await row('busybox:latest');
    await check(async () => {
      await press('Pull image');
      await openDialog.waitFor();
    }, true);
    await check(async () => await choose('busybox:latest', 'Add tag…'), true);
    await check(async () => await choose('busybox:latest', 'Remove…'), true);
    await show('/volumes');
    await row('spare');
    await check(async () => {
      await press('Create volume');
      await anyDialog().waitFor();
    }, true);
    await check(async () => await choose('spare', 'Remove…'), true);
    await show('/networks');
    await row('backbone');
    await check(async () => {
      await press('Create network');
      await anyDialog().waitFor();
    }, true);
    await check(async () => await choose('backbone', 'Connect container…'), true);
  });
});

it('no page said anything on its error console', () => {
  expect(dashboard.problems).toEqual([]);
});
