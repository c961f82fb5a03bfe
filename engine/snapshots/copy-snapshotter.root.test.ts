import { describe } from 'vitest';
import { snapshotterSuite } from './snapshotter.suite.ts';

describe('CopySnapshotter', () => {
  snapshotterSuite('vfs');
});
