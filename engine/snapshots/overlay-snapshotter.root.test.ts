import { describe } from 'vitest';
import { snapshotterSuite } from './snapshotter.suite.ts';

describe('OverlaySnapshotter', () => {
  snapshotterSuite('overlay2');
});
