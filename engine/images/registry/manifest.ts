import { z } from 'zod';
import { InvalidParameterError } from '../../base/errors.ts';
import type { Digest } from '../../snapshots/contract.ts';
import type { Descriptor, PlatformWire } from '../contract.ts';
import { decodeWith, parseJson } from '../image-config.ts';
import { normalizePlatform, type Platform, platformScore } from '../platform.ts';
import { isDigest } from '../reference.ts';

/** Media types that this engine reads or writes. */
export const MEDIA = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  schema1: 'application/vnd.docker.distribution.manifest.v1+json',
  schema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const;

/** Accept header for manifests, preferred first; schema 1 is asked for so that it can be refused plainly. */
export const MANIFEST_ACCEPT = [
  MEDIA.dockerManifest,
  MEDIA.dockerList,
  MEDIA.ociIndex,
  MEDIA.ociManifest,
  MEDIA.schema1Signed,
  'application/json',
].join(', ');

const MAX_LAYERS = 512;
const MAX_INDEX_ENTRIES = 1024;

const platformSchema: z.ZodType<PlatformWire> = z.object({
  architecture: z.string().default(''),
  os: z.string().default(''),
  variant: z.string().optional(),
  'os.version': z.string().optional(),
  'os.features': z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? undefined),
});

const descriptorSchema = z.object({
  mediaType: z.string().default(''),
  digest: z.string().refine(isDigest, 'must be a sha256 digest'),
  size: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  urls: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? undefined),
  annotations: z
    .record(z.string(), z.string())
    .nullish()
    .transform((value) => value ?? undefined),
  platform: platformSchema.nullish().transform((value) => value ?? undefined),
});

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptorSchema,
  layers: z
    .array(descriptorSchema)
    .max(MAX_LAYERS)
    .nullish()
    .transform((value) => value ?? []),
});

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  manifests: z.array(descriptorSchema).max(MAX_INDEX_ENTRIES),
});

/** An image manifest (OCI or Docker schema 2). */
export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** An index or manifest list. */
export interface ManifestIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

const OLD_SCHEMA_TEXT =
  '[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. ' +
  'Suggest the author of the image to upgrade it to the OCI Format or Docker Image manifest v2, schema 2';

/**
 * Decodes a manifest or index of outside origin.
 *
 * @param contentType  media type from the answer or descriptor; the document's own goes first
 * @throws InvalidParameterError  schema 1, a document that is both or neither, a fault with its path
 */
export function decodeManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): Manifest | ManifestIndex {
  const value = parseJson(bytes, 'manifest');
  const document = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (document['schemaVersion'] === 1) {
    throw new InvalidParameterError(OLD_SCHEMA_TEXT);
  }
  const isIndex = Array.isArray(document['manifests']);
  if (isIndex && (document['layers'] !== undefined || document['config'] !== undefined)) {
    // Such a document means different images to different readers (CVE-2021-41190).
    throw new InvalidParameterError('manifest is ambiguous: it is an image and an index at once');
  }
  const given = (contentType ?? '').split(';')[0]?.trim() ?? '';
  if (isIndex) {
    const index = decodeWith(indexSchema, value, 'manifest list');
    const mediaType = index.mediaType ?? (given === MEDIA.dockerList ? given : MEDIA.ociIndex);
    return { kind: 'index', mediaType, manifests: index.manifests };
  }
  const manifest = decodeWith(manifestSchema, value, 'manifest');
  const mediaType =
    manifest.mediaType ?? (given === MEDIA.dockerManifest ? given : MEDIA.ociManifest);
  if (mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerList) {
    throw new InvalidParameterError('manifest is ambiguous: its media type is that of an index');
  }
  return { kind: 'manifest', mediaType, config: manifest.config, layers: manifest.layers };
}

/** Platform of a descriptor or config in wire form, normalised. */
export function platformOfWire(wire: PlatformWire): Platform {
  return normalizePlatform({
    os: wire.os,
    architecture: wire.architecture,
    variant: wire.variant === '' ? undefined : wire.variant,
    osVersion: wire['os.version'],
  });
}

/** Wire form of a platform. */
export function platformToWire(platform: Platform): PlatformWire {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ...(platform.osVersion === undefined ? {} : { 'os.version': platform.osVersion }),
  };
}

/** The manifest that fits best; first wins among equals. Attestations (platform unknown/unknown) never fit. */
export function choosePlatform(index: ManifestIndex, wanted: Platform): Descriptor | undefined {
  let best: Descriptor | undefined;
  let bestScore = 0;
  for (const descriptor of index.manifests) {
    if (descriptor.platform === undefined) {
      continue;
    }
    const score = platformScore(wanted, platformOfWire(descriptor.platform));
    if (score > bestScore) {
      best = descriptor;
      bestScore = score;
    }
  }
  return best;
}

/** Refuses configs that are no container images (Helm charts, signatures, models). @throws InvalidParameterError */
export function checkConfigType(config: Descriptor): void {
  const known: readonly string[] = [
    MEDIA.ociConfig,
    MEDIA.dockerConfig,
    // Registries of old wrote these for images.
    'application/octet-stream',
    'application/json',
    '',
  ];
  if (!known.includes(config.mediaType)) {
    throw new InvalidParameterError(
      `Encountered remote ${JSON.stringify(config.mediaType)}(unknown) when fetching`,
    );
  }
}

/** An image manifest made here. @returns its bytes, to be stored and sent as they are */
export function encodeManifest(options: {
  readonly isDocker: boolean;
  readonly config: { readonly digest: Digest; readonly size: number };
  readonly layers: readonly Descriptor[];
}): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const mediaType = options.isDocker ? MEDIA.dockerManifest : MEDIA.ociManifest;
  const document = {
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: options.isDocker ? MEDIA.dockerConfig : MEDIA.ociConfig,
      digest: options.config.digest,
      size: options.config.size,
    },
    layers: options.layers.map(({ mediaType: type, digest, size }) => ({
      mediaType: type,
      digest,
      size,
    })),
  };
  const bytes = Buffer.from(JSON.stringify(document, null, options.isDocker ? 3 : undefined));
  return { bytes, mediaType };
}
