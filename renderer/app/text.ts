/** Texts of the frame around the pages. */
export const text = {
  product: 'Gantry',
  skipToContent: 'Skip to content',
  navigation: 'Main',
  pages: {
    containers: 'Containers',
    images: 'Images',
    volumes: 'Volumes',
    networks: 'Networks',
    disk: 'Disk',
    settings: 'Settings',
  },
  openPalette: 'Search or run a command',
  paletteHint: 'Search or run',
  status: {
    label: 'Status',
    connecting: 'Connecting…',
    running: 'Engine running',
    down: 'Engine not reachable',
    hostDown: 'Gantry not reachable',
    refused: 'Access refused',
    containers: (running: number, total: number) => `${running} of ${total} running`,
    cpu: 'CPU',
    memory: 'Memory',
    cpuTitle: (cores: number) =>
      `CPU of all running containers; ${cores} cores are ${cores * 100}%`,
    memoryTitle: (total: string) => `Memory of all running containers; the machine has ${total}`,
  },
  banner: {
    engine: 'The engine is not reachable.',
    host: 'The connection to Gantry was lost.',
    stale: 'What you see is the last known state.',
    retry: 'Try again',
    retrying: 'Trying…',
  },
  refused: {
    title: 'This page needs its access key',
    body: 'Open the complete address that Gantry printed when it started, including the part after “#token=”.',
  },
  connecting: {
    title: 'Connecting to the engine',
    body: 'This takes a moment after a start.',
  },
  down: {
    engineTitle: 'The engine is not reachable',
    hostTitle: 'Gantry is not reachable',
    hostBody: 'The application behind this page does not answer. It is tried again by itself.',
  },
  crash: {
    title: 'This page ran into an error',
    reload: 'Reload',
  },
  notFound: { title: 'There is nothing here', back: 'Go to containers' },
} as const;
