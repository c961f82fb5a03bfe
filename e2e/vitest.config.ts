import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Two noisy cores: deadlines guard against hanging, they measure nothing. */
const SLOW_TEST_TIMEOUT_MS = 180_000;
/**
 * Tests on real kernels, registries and browsers share the machine with whatever else runs there: one that fails is run once
 * more, and the report names it as retried. Unit tests get no second try.
 */
const SECOND_TRY = 1;

export default defineConfig({
  root,
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{engine,electron,renderer,vm,e2e}/**/*.test.ts'],
          exclude: ['**/*.root.test.ts', 'e2e/{cli,specs}/**', 'node_modules/**'],
          environment: 'node',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'root',
          retry: SECOND_TRY,
          include: ['{engine,electron,vm}/**/*.root.test.ts'],
          environment: 'node',
          fileParallelism: false,
          testTimeout: SLOW_TEST_TIMEOUT_MS,
          hookTimeout: SLOW_TEST_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: 'cli',
          retry: SECOND_TRY,
          include: ['e2e/cli/**/*.test.ts'],
          environment: 'node',
          fileParallelism: false,
          testTimeout: SLOW_TEST_TIMEOUT_MS,
          hookTimeout: SLOW_TEST_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: 'desktop',
          retry: SECOND_TRY,
          include: ['e2e/specs/**/*.spec.ts'],
          environment: 'node',
          fileParallelism: false,
          testTimeout: SLOW_TEST_TIMEOUT_MS,
          hookTimeout: SLOW_TEST_TIMEOUT_MS,
        },
      },
    ],
  },
});
