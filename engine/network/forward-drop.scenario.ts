/**
 * Run by forward-drop.root.test.ts in a network and mount namespace of its own, where it plays a machine on which dockerd
 * and ufw have closed forwarding and input. Prints what it found as JSON.
 */
import { run, runOrThrow } from '../base/node/run.ts';
import { ask, NetworkFixture, published, serve } from './network-fixture.ts';

const OUTSIDE = '198.51.100.2';
const HOST = '198.51.100.1';
const PORT = 20_080;

const RULES = `
table ip filter {
  chain DOCKER-USER {
    ip daddr 203.0.113.1 drop comment "mine"
  }
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    jump DOCKER-USER
  }
  chain INPUT {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
table ip6 filter {
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
  }
}
`;

async function rules(): Promise<string> {
  return (await run('nft', ['list', 'ruleset'])).stdout;
}

async function main(): Promise<void> {
  await runOrThrow('ip', ['-batch', '-'], {
    input: [
      'link set lo up',
      'netns add outside',
      'link add up0 type veth peer name eth0 netns outside',
      `address add ${HOST}/24 dev up0`,
      'link set up0 up',
    ].join('\n'),
  });
  await runOrThrow('ip', ['-n', 'outside', '-batch', '-'], {
    input: `address add ${OUTSIDE}/24 dev eth0\nlink set eth0 up\nlink set lo up\n`,
  });
  await runOrThrow('nft', ['-f', '-'], { input: RULES });
  const before = await rules();
  const fixture = await NetworkFixture.open();
  await fixture.service.create({ Name: 'net', EnableIPv6: true });
  const web = await fixture.open('web', { net: {} }, { ports: [published(80, PORT)] });
  const client = await fixture.open('client', { net: {} });
  const outside = { ...web, netnsPath: '/run/netns/outside' };
  using _web = await serve(web, 80, 'web');
  using _outside = await serve(outside, 81, 'outside');
  const found = {
    published: await ask(outside, 'tcp', { host: HOST, port: PORT }),
    outgoing: await ask(client, 'tcp', { host: OUTSIDE, port: 81 }),
    neighbour: await ask(client, 'tcp', {
      host: web.endpoints.get('net')?.IPAddress ?? '',
      port: 80,
    }),
    name: (await ask(client, 'A', { host: 'web' })) === web.endpoints.get('net')?.IPAddress,
    rulesInside: (await rules()).includes(`gantry:${fixture.hash} iifname`),
    isIptablesReadable: (await run('iptables', ['-S', 'DOCKER-USER'])).stdout.includes('-j ACCEPT'),
    hasIptables: (await run('sh', ['-c', 'command -v iptables'])).exitCode === 0,
  };
  await fixture[Symbol.asyncDispose]();
  process.stdout.write(`${JSON.stringify({ ...found, isAsBefore: (await rules()) === before })}\n`);
}

await main();
// Servers were killed; nothing else keeps this process.
process.exit(0);
