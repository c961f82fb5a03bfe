/** An engine to be killed: launches what its argument says, prints a line, and stays. */
import type { ShimConfig } from '../contract.ts';
import { launchShim } from '../launch-shim.ts';

const order = JSON.parse(process.argv[2] ?? '') as { config: ShimConfig; shimPath: string };
const result = await launchShim(order.config, { shimPath: order.shimPath });
process.stdout.write(`${result.kind}\n`);
if (result.kind === 'started') {
  await result.client.waitGone();
}
