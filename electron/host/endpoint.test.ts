import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_ENGINE_URL, parseEndpoint, resolveEndpoint } from './endpoint.ts';

describe('parseEndpoint', () => {
  it('takes sockets and addresses', () => {
    expect(parseEndpoint('unix:///run/x.sock')).toMatchObject({
      isLocal: true,
      dial: { socketPath: '/run/x.sock' },
    });
    expect(parseEndpoint('tcp://10.0.0.1')).toMatchObject({
      isLocal: false,
      dial: { host: '10.0.0.1', port: 2375 },
    });
    expect(parseEndpoint('https://[::1]:2376').dial).toMatchObject({ host: '::1', port: 2376 });
  });

  it('shows no credentials', () => {
    expect(parseEndpoint('tcp://user:secret@host:1').url).toBe('tcp://host:1');
  });

  it('refuses anything else', () => {
    for (const text of ['', '/run/x.sock', 'ftp://x', 'tcp://', 'ssh://host']) {
      expect(() => parseEndpoint(text), text).toThrow(/not an engine address/);
    }
  });
});

describe('resolveEndpoint', () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'gantry-home-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  async function addContext(name: string, host: string): Promise<void> {
    const hash = createHash('sha256').update(name).digest('hex');
    const folder = join(home, '.docker', 'contexts', 'meta', hash);
    await mkdir(folder, { recursive: true });
    const meta = { Name: name, Endpoints: { docker: { Host: host, SkipTLSVerify: false } } };
    await writeFile(join(folder, 'meta.json'), JSON.stringify(meta));
  }

  it('prefers the flag, then DOCKER_HOST, then the context, then our own socket', async () => {
    await addContext('lab', 'tcp://lab:1234');
    await writeFile(join(home, '.docker', 'config.json'), '{"currentContext":"lab","x":1}');
    const env = { HOME: home };
    const withHost = { ...env, DOCKER_HOST: 'unix:///d.sock' };
    expect((await resolveEndpoint({ explicit: 'unix:///e.sock', env: withHost })).url).toBe(
      'unix:///e.sock',
    );
    expect((await resolveEndpoint({ env: withHost })).url).toBe('unix:///d.sock');
    expect(await resolveEndpoint({ env })).toMatchObject({ url: 'tcp://lab:1234', name: 'lab' });
    const plain = await resolveEndpoint({ env: { ...env, DOCKER_CONTEXT: 'default' } });
    expect(plain.url).toBe(DEFAULT_ENGINE_URL);
  });

  it('names a context that does not exist', async () => {
    const env = { HOME: home, DOCKER_CONTEXT: 'nowhere' };
    await expect(resolveEndpoint({ env })).rejects.toThrow(/nowhere/);
  });
});
