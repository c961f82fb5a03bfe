/** Texts of the command palette. */
export const text = {
  title: 'Command palette',
  input: 'Search containers, images, pages and commands',
  none: 'Nothing matches.',
  sections: { commands: 'Commands', pages: 'Pages', containers: 'Containers', images: 'Images' },
  commands: {
    run: 'Run a container',
    pull: 'Pull an image',
    light: 'Use the light theme',
    dark: 'Use the dark theme',
    system: 'Follow the system theme',
  },
  actions: {
    logs: (name: string) => `Logs of ${name}`,
    terminal: (name: string) => `Terminal in ${name}`,
    start: (name: string) => `Start ${name}`,
    stop: (name: string) => `Stop ${name}`,
    restart: (name: string) => `Restart ${name}`,
    image: (name: string) => `Run ${name}`,
  },
  hints: { open: 'Open', run: 'Run' },
} as const;
