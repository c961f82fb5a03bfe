import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endpointsOf, isInsecure } from './endpoints.ts';
import { RegistryHttp, readBody } from './http.ts';

let certsDir: string;

beforeEach(async () => {
  certsDir = await mkdtemp(join(tmpdir(), 'certs-'));
});

afterEach(async () => {
  await rm(certsDir, { recursive: true, force: true });
});

function config(options: { mirrors?: string[]; insecure?: string[] } = {}) {
  return {
    mirrors: options.mirrors ?? [],
    insecureRegistries: options.insecure ?? [],
    certsDir,
  };
}

async function urlsOf(...args: Parameters<typeof endpointsOf>): Promise<string[]> {
  return (await endpointsOf(...args)).map((endpoint) => endpoint.baseUrl.href);
}

describe('endpointsOf', () => {
  it('goes to Docker Hub, over mirrors for pulls only', async () => {
    const withMirrors = config({ mirrors: ['https://mirror.example', 'http://127.0.0.1:5001'] });
    expect(await urlsOf('docker.io', withMirrors)).toEqual([
      'https://mirror.example/',
      'http://127.0.0.1:5001/',
      'https://registry-1.docker.io/',
    ]);
    expect(await urlsOf('docker.io', withMirrors, true)).toEqual(['https://registry-1.docker.io/']);
    expect(await urlsOf('host.example', withMirrors)).toEqual(['https://host.example/']);
  });

  it('falls back to plain http for loopback and configured registries only', async () => {
    expect(await urlsOf('localhost:5000', config())).toEqual([
      'https://localhost:5000/',
      'http://localhost:5000/',
    ]);
    expect(await urlsOf('127.1.2.3', config())).toHaveLength(2);
    expect(await urlsOf('[::1]:5000', config())).toHaveLength(2);
    expect(await urlsOf('10.0.0.1:5000', config())).toHaveLength(1);
    expect(await urlsOf('10.0.0.1:5000', config({ insecure: ['10.0.0.0/8'] }))).toHaveLength(2);
    expect(await urlsOf('reg.example:5000', config({ insecure: ['reg.example:5000'] }))).toEqual([
      'https://reg.example:5000/',
      'http://reg.example:5000/',
    ]);
    expect(await isInsecure('reg.example:5001', config({ insecure: ['reg.example:5000'] }))).toBe(
      false,
    );
  });

  it('names a client certificate without key', async () => {
    await mkdir(join(certsDir, 'reg.example'));
    await writeFile(join(certsDir, 'reg.example', 'client.cert'), 'x');
    await expect(endpointsOf('reg.example', config())).rejects.toThrow(
      'missing key client.key for client certificate client.cert',
    );
  });
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)('certificate folders', () => {
  it('make a registry with its own authority trusted, and nothing else', async () => {
    const key = join(certsDir, 'key.pem');
    const cert = join(certsDir, 'cert.pem');
    const made = spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=registry',
      '-addext',
      'subjectAltName=DNS:reg.test,IP:127.0.0.1',
    ]);
    expect(made.status).toBe(0);
    const server = createServer(
      { key: await readFile(key), cert: await readFile(cert) },
      (_request, response) => response.end('hello'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    using http = new RegistryHttp({ userAgent: 'test' });
    try {
      const ask = async (isVerified: boolean, ca?: string[]): Promise<string> => {
        const url = new URL(`https://127.0.0.1:${port}/`);
        const tls = { isVerified, ca };
        const answer = await http.send({ method: 'GET', url, headers: {}, tls });
        return (await readBody(answer, 100)).toString();
      };
      await expect(ask(true)).rejects.toThrow('x509: certificate signed by unknown authority');
      expect(await ask(false)).toBe('hello');
      await mkdir(join(certsDir, 'reg.test'));
      await writeFile(join(certsDir, 'reg.test', 'ca.crt'), await readFile(cert));
      const [endpoint] = await endpointsOf('reg.test', config());
      expect(await ask(true, [...(endpoint?.tls.ca ?? [])])).toBe('hello');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
