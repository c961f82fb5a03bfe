import { fileURLToPath } from 'node:url';

/** The program as the native build leaves it. */
export function layerProgramPath(): string {
  return fileURLToPath(new URL('../../../build/native/gantry-layer', import.meta.url));
}
