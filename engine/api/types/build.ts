import { z } from 'zod';
import { ulimitSchema } from './host-config.ts';

/** Limits of the containers that run build steps; bytes, cpu microseconds; 0 or '' = none. */
export interface ImageRunLimits {
  readonly memoryBytes: number;
  readonly memorySwapBytes: number;
  readonly cpuShares: number;
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly cgroupParent: string;
  readonly shmSizeBytes: number;
  readonly ulimits: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
}

/** `buildargs` of POST /build: null stands for an argument without a value. */
export const buildArgsSchema = z.record(z.string(), z.string().nullable());
/** `labels` of POST /build. */
export const buildLabelsSchema = z.record(z.string(), z.string());
/** `cachefrom` of POST /build. */
export const cacheFromSchema = z.array(z.string());
/** `ulimits` of POST /build. */
export const buildUlimitsSchema = z.array(ulimitSchema);
