import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { run } from '../base/node/run.ts';

const scenario = fileURLToPath(new URL('forward-drop.scenario.ts', import.meta.url));

/** Namespaces of its own; /sys and /run/netns must show them, not those of the machine. */
const SET_UP =
  'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && mount -t sysfs sysfs /sys && exec "$@"';

test('beside programs that drop what they do not know, containers are reached and reach out, and rules of others stay', async () => {
  const result = await run(
    'unshare',
    ['--net', '--mount', 'sh', '-c', SET_UP, 'sh', process.execPath, scenario],
    { timeoutMs: 150_000 },
  );
  expect(result.stderr).toBe('');
  const found = JSON.parse(result.stdout) as Record<string, unknown>;
  expect(found).toMatchObject({
    published: 'web saw 198.51.100.2',
    outgoing: 'outside saw 198.51.100.1',
    name: true,
    rulesInside: true,
    isAsBefore: true,
  });
  expect(found['neighbour']).toMatch(/^web saw /);
  expect(found['isIptablesReadable']).toBe(found['hasIptables']);
});
