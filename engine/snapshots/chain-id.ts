import { createHash } from 'node:crypto';
import type { ChainId, DiffId, Digest } from './contract.ts';

/** Chain id of a layer on its parent. @see OCI image spec, config, "Layer ChainID" */
export function chainIdOf(parent: ChainId | undefined, diffId: DiffId): ChainId {
  if (parent === undefined) {
    return diffId;
  }
  return `sha256:${createHash('sha256').update(`${parent} ${diffId}`).digest('hex')}`;
}

/** The hexadecimal digits of a digest, which name its folder. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
