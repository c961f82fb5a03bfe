import { runOrThrow } from '../../../engine/base/node/run.ts';
import { type BenchEngine, call } from '../engine-under-test.ts';
import { type Figure, median, type Scene, timeMs } from '../figure.ts';

const CONTAINER = 'bench-port';
const MEGABYTES = 512;

const withServer: Scene = {
  prepare: async ({ docker }) => {
    await docker.ok([
      'run',
      '-d',
      '--name',
      CONTAINER,
      '-p',
      '127.0.0.1::80',
      'busybox',
      'sh',
      '-c',
      `mkdir /www && truncate -s ${MEGABYTES}M /www/file && exec httpd -f -p 80 -h /www`,
    ]);
  },
  tidy: async ({ docker }) => {
    await docker.ok(['rm', '--force', CONTAINER]);
  },
};

async function megabytesPerSecond(address: string): Promise<number> {
  const ms = await timeMs(
    async () =>
      await runOrThrow('/bin/busybox', ['wget', '-q', '-O', '/dev/null', `http://${address}/file`]),
  );
  return (MEGABYTES / ms) * 1000;
}

async function publishedAddress({ docker }: BenchEngine): Promise<string> {
  return (await docker.ok(['port', CONTAINER, '80/tcp'])).split('\n')[0] ?? '';
}

interface Inspected {
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { IPAddress: string }>> };
}

async function directAddress(engine: BenchEngine): Promise<string> {
  const answer = await call(engine, 'GET', `/v1.41/containers/${CONTAINER}/json`);
  const { NetworkSettings } = JSON.parse(answer.text) as Inspected;
  return `${Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? ''}:80`;
}

export const port: Figure = {
  key: 'port',
  name: 'download through a port published on 127.0.0.1',
  unit: 'MB/s',
  isMoreBetter: true,
  repeats: 5,
  warmUps: 1,
  scene: withServer,
  run: async (engine) => await megabytesPerSecond(await publishedAddress(engine)),
};

export const portShare: Figure = {
  key: 'port-share',
  name: "the same as a share of the container's own address",
  unit: '%',
  isMoreBetter: true,
  repeats: 3,
  scene: withServer,
  run: async (engine) => {
    const published = await publishedAddress(engine);
    const direct = await directAddress(engine);
    const shares: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const own = await megabytesPerSecond(direct);
      shares.push(((await megabytesPerSecond(published)) / own) * 100);
    }
    return median(shares);
  },
};
