/**
 * Arguments for the Node that runs the engine. Its heap lives long and grows little: a small young generation saves a third
 * of the memory (25 MiB when idle) and costs a few percent of processor time in collections.
 */
export const ENGINE_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2'];
