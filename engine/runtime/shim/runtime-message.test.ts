import { expect, test } from 'vitest';
import { runtimeMessageOf } from './runtime-message.ts';

test.each([
  [
    'the last error of the log, without the command',
    {
      exitCode: 1,
      log: 'cut"}\n{"level":"warning","msg":"w"}\n{"level":"error","msg":"runc run failed: no such file"}\n',
      text: 'other\n',
    },
    'no such file',
  ],
  [
    'what was printed when the log is silent',
    { exitCode: 1, log: '', text: 'first\nrunc exec failed: last\n\n' },
    'last',
  ],
  [
    'the exit code when there is nothing',
    { exitCode: 137, log: '[1]\n"x"\n', text: '  \n' },
    'the runtime ended with exit code 137',
  ],
])('runtimeMessageOf › returns %s', (_, failure, message) => {
  expect(runtimeMessageOf(failure)).toBe(message);
});
