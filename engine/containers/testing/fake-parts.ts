import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConflictError, NotFoundError, NotImplementedError } from '../../base/errors.ts';
import { run } from '../../base/node/run.ts';
import type { Image, ImageLease, ImageService, RunConfig } from '../../images/contract.ts';
import type { EndpointSettings, NetworkResource, NetworkService } from '../../network/contract.ts';
import type { LayerTool, Snapshotter } from '../../snapshots/contract.ts';
import type { VolumeResource, VolumeService } from '../../volumes/contract.ts';

/** A part that throws for whatever a test has not provided. */
export function partial<T extends object>(name: string, members: Partial<T>): T {
  return new Proxy(members, {
    get(target, key) {
      if (Reflect.has(target, key)) {
        return Reflect.get(target, key) as unknown;
      }
      if (key === 'then' || key === Symbol.asyncDispose || key === Symbol.dispose) {
        return undefined;
      }
      return () => {
        throw new NotImplementedError(`${name}.${String(key)} is not there in this test`);
      };
    },
  }) as T;
}

/** Trees as plain folders: a copy of `template` for each writable; nothing is mounted. */
export function plainSnapshots(root: string, template?: string): Snapshotter {
  return partial<Snapshotter>('snapshots', {
    driver: 'vfs',
    createWritable: async (id) => {
      await mkdir(join(root, id), { recursive: true });
      if (template !== undefined) {
        await run('cp', ['-a', `${template}/.`, join(root, id)]);
      }
    },
    mount: async (id) => await Promise.resolve(join(root, id)),
    unmount: async () => {
      await Promise.resolve();
    },
    removeWritable: async (id) => {
      await rm(join(root, id), { recursive: true, force: true });
    },
    listWritables: async () => {
      await mkdir(root, { recursive: true });
      return await readdir(root);
    },
    writableSize: async () => await Promise.resolve(1024),
    changes: async () => await Promise.resolve([]),
    graphData: async () => await Promise.resolve({}),
  });
}

/** An image service that knows some images by reference. */
export function fakeImages(images: ReadonlyMap<string, RunConfig>): ImageService {
  const imageOf = (ref: string): Image | undefined => {
    const config = images.get(ref) ?? images.get(`${ref}:latest`);
    if (config === undefined) {
      return undefined;
    }
    const hex = Buffer.from(ref.replace(/:latest$/, ''))
      .toString('hex')
      .padEnd(64, '0');
    return {
      id: `sha256:${hex.slice(0, 64)}`,
      config: {
        architecture: 'amd64',
        os: 'linux',
        config,
        rootfs: { type: 'layers', diff_ids: [] },
        history: [],
      },
      platform: { os: 'linux', architecture: 'amd64' },
      chainId: undefined,
      layers: [],
      sizeBytes: 4096,
      createdAtMs: undefined,
      references: [ref],
      repoDigests: [],
      parent: undefined,
      descriptor: undefined,
      lastTaggedAtMs: undefined,
    };
  };
  const resolve = async (ref: string): Promise<Image> => {
    const image = imageOf(ref);
    if (image === undefined) {
      throw new NotFoundError(`No such image: ${ref.includes(':') ? ref : `${ref}:latest`}`);
    }
    return await Promise.resolve(image);
  };
  return partial<ImageService>('images', {
    resolve,
    find: async (ref) => await Promise.resolve(imageOf(ref)),
    get: () => undefined,
    mountableChainId: () => undefined,
    collect: async () => await Promise.resolve(),
    childrenOf: () => [],
    acquire: async (ref) =>
      partial<ImageLease & { readonly image: Image }>('lease', {
        image: await resolve(ref),
        [Symbol.asyncDispose]: async () => {
          await Promise.resolve();
        },
      }),
  });
}

/** Networks without packets: `host`, `none`, `bridge` and what a test adds. */
export function fakeNetworks(names: readonly string[] = []): NetworkService {
  const known = ['bridge', 'host', 'none', ...names];
  const resource = (name: string): NetworkResource => ({
    Name: name,
    Id: Buffer.from(name).toString('hex').padEnd(64, '0'),
    Created: '2024-01-01T00:00:00Z',
    Scope: 'local',
    Driver: name === 'host' ? 'host' : name === 'none' ? 'null' : 'bridge',
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  });
  const find = (ref: string): NetworkResource => {
    const name = known.find((candidate) => candidate === ref || resource(candidate).Id === ref);
    if (name === undefined) {
      throw new NotFoundError(`network ${ref} not found`);
    }
    return resource(name);
  };
  let nextAddress = 2;
  return partial<NetworkService>('networks', {
    inspect: async (ref) => await Promise.resolve(find(ref)),
    validate: async () => {
      await Promise.resolve();
    },
    reconcile: async () => {
      await Promise.resolve();
    },
    findSandbox: () => undefined,
    rename: async () => {
      await Promise.resolve();
    },
    openSandbox: async (request) => {
      const endpoints = new Map<string, EndpointSettings>();
      for (const [name, settings] of request.endpoints) {
        const network = find(name);
        const address = `172.17.0.${nextAddress}`;
        nextAddress += 1;
        endpoints.set(network.Name, {
          ...settings,
          NetworkID: network.Id,
          EndpointID: `e${request.containerId.slice(1)}`,
          IPAddress: address,
          IPPrefixLen: 16,
          Gateway: '172.17.0.1',
        });
      }
      return await Promise.resolve({
        containerId: request.containerId,
        netnsPath: `/run/netns/${request.containerId}`,
        endpoints,
        ports: request.ports.map((port, index) => ({
          ...port,
          hostIp: port.hostIp || '0.0.0.0',
          hostPort: port.hostPort || 49_153 + index,
        })),
        hostsFile: '127.0.0.1\tlocalhost\n',
        resolvConf: '',
      });
    },
    closeSandbox: async () => {
      await Promise.resolve();
    },
  });
}

/** Volumes as plain folders below `root`. `users` decides what may be removed. */
export function fakeVolumes(
  root: string,
  users: () => ReadonlyMap<string, ReadonlySet<string>>,
): VolumeService {
  const volumes = new Map<string, VolumeResource>();
  let count = 0;
  return partial<VolumeService>('volumes', {
    create: async (request) => {
      count += 1;
      const name = request.Name ?? String(count).padStart(64, '0');
      const volume = volumes.get(name) ?? {
        Name: name,
        Driver: request.Driver ?? 'local',
        Mountpoint: join(root, name),
        CreatedAt: '',
        Labels: null,
        Scope: 'local',
        Options: null,
      };
      await mkdir(volume.Mountpoint, { recursive: true });
      volumes.set(name, volume);
      return volume;
    },
    list: () => [...volumes.values()],
    isEmpty: async (name) => (await readdir(join(root, name))).length === 0,
    acquire: async (name) => await Promise.resolve(join(root, name)),
    release: async () => {
      await Promise.resolve();
    },
    remove: async (name) => {
      if ((users().get(name)?.size ?? 0) > 0) {
        throw new ConflictError(`remove ${name}: volume is in use`);
      }
      await rm(join(root, name), { recursive: true, force: true });
      volumes.delete(name);
    },
  });
}

/** A tar tool that finds nothing: containers of these tests have no content to copy. */
export function emptyLayerTool(): LayerTool {
  return partial<LayerTool>('layerTool', {
    statPath: async () => await Promise.resolve(undefined),
  });
}
