import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { InvalidParameterError, SystemError } from '../../base/errors.ts';
import { listIfThere } from '../../base/node/atomic-file.ts';
import type { TlsSettings } from './http.ts';

/** What the daemon's configuration says about registries. */
export interface RegistryConfig {
  /** Base addresses tried before Docker Hub, for Docker Hub images only. */
  readonly mirrors: readonly string[];
  /** `host`, `host:port` or CIDR ranges; loopback always counts. */
  readonly insecureRegistries: readonly string[];
  /** Folder of `<host[:port]>/{*.crt,*.cert,*.key}`. */
  readonly certsDir: string;
}

/** One place to try. */
export interface Endpoint {
  /** Without path. */
  readonly baseUrl: URL;
  readonly isMirror: boolean;
  readonly tls: TlsSettings;
}

const HUB_DOMAIN = 'docker.io';
const HUB_HOST = 'registry-1.docker.io';

function hostOf(domain: string): string {
  const match = /^(\[[^\]]+\]|[^:]+)(?::\d+)?$/.exec(domain);
  return (match?.[1] ?? domain).replace(/^\[|\]$/g, '');
}

/** True when the registry may be spoken to without verified TLS. */
export async function isInsecure(domain: string, config: RegistryConfig): Promise<boolean> {
  const host = hostOf(domain);
  const ranges = new BlockList();
  ranges.addSubnet('127.0.0.0', 8, 'ipv4');
  ranges.addAddress('::1', 'ipv6');
  let hasOwnRanges = false;
  for (const entry of config.insecureRegistries) {
    if (entry === domain || entry === host) {
      return true;
    }
    const [address = '', bits] = entry.split('/');
    if (bits !== undefined && isIP(address) !== 0) {
      ranges.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
      hasOwnRanges = true;
    }
  }
  if (host === 'localhost') {
    return true;
  }
  const isInRange = (address: string): boolean =>
    ranges.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  if (isIP(host) !== 0) {
    return isInRange(host);
  }
  if (!hasOwnRanges) {
    return false;
  }
  try {
    const addresses = await lookup(host, { all: true });
    return addresses.some(({ address }) => isInRange(address));
  } catch {
    // Unknown host: the connection will say so.
    return false;
  }
}

async function tlsFor(domain: string, config: RegistryConfig): Promise<TlsSettings> {
  const isVerified = !(await isInsecure(domain, config));
  const folder = join(config.certsDir, domain);
  const names = /[/\\]|^\.\.?$/.test(domain) ? [] : (await listIfThere(folder)).toSorted();
  const ca: string[] = [];
  const clients: { cert: string; key: string }[] = [];
  for (const name of names) {
    if (name.endsWith('.crt')) {
      ca.push(await readFile(join(folder, name), 'utf8'));
    } else if (name.endsWith('.cert')) {
      const keyName = name.replace(/\.cert$/, '.key');
      if (!names.includes(keyName)) {
        throw new SystemError(
          `missing key ${keyName} for client certificate ${name}. CA certificates must use the extension .crt`,
        );
      }
      clients.push({
        cert: await readFile(join(folder, name), 'utf8'),
        key: await readFile(join(folder, keyName), 'utf8'),
      });
    }
  }
  return {
    isVerified,
    ...(ca.length === 0 ? {} : { ca: [...getCACertificates('default'), ...ca] }),
    ...(clients.length === 0 ? {} : { clients }),
  };
}

function mirrorUrl(mirror: string): URL {
  try {
    return new URL(/^https?:\/\//.test(mirror) ? mirror : `https://${mirror}`);
  } catch (cause) {
    throw new InvalidParameterError(
      `invalid mirror: ${JSON.stringify(mirror)} is not a valid URI`,
      { cause },
    );
  }
}

/** Where to look for a repository of `domain`, in order. @param isPush  mirrors are read-only */
export async function endpointsOf(
  domain: string,
  config: RegistryConfig,
  isPush = false,
): Promise<readonly Endpoint[]> {
  if (domain === HUB_DOMAIN) {
    const endpoints: Endpoint[] = [];
    for (const mirror of isPush ? [] : config.mirrors) {
      const baseUrl = mirrorUrl(mirror);
      endpoints.push({ baseUrl, isMirror: true, tls: await tlsFor(baseUrl.host, config) });
    }
    const tls = await tlsFor(HUB_DOMAIN, config);
    endpoints.push({ baseUrl: new URL(`https://${HUB_HOST}`), isMirror: false, tls });
    return endpoints;
  }
  const tls = await tlsFor(domain, config);
  const secure: Endpoint = { baseUrl: new URL(`https://${domain}`), isMirror: false, tls };
  return tls.isVerified
    ? [secure]
    : [secure, { baseUrl: new URL(`http://${domain}`), isMirror: false, tls }];
}
