import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds the desktop app's two Node entries to build/electron/main.mjs and build/electron/host.mjs. */
export default {
  root,
  publicDir: false,
  // Everything but Electron and Node goes into the bundles: a packaged app carries no node_modules.
  ssr: { noExternal: true, external: ['electron'] },
  build: {
    ssr: true,
    outDir: 'build/electron',
    emptyOutDir: false,
    target: 'node24',
    minify: false,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { main: 'electron/main/main.ts', host: 'electron/main/host-entry.ts' },
      external: ['electron'],
      output: { format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunk-[hash].mjs' },
    },
  },
};
