/** What the host's own network looks like, read from /proc and /sys without starting a program. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { errnoOf, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { readTextIfThere } from '../base/node/atomic-file.ts';
import { type Family, type Prefix, parseAddress, parsePrefix, widthOf } from './addresses.ts';
import { parseResolvConf, type ResolvConf } from './hosts-files.ts';

const RTF_UP = 1;
const RTF_GATEWAY = 2;

/** Prefixes of on-link IPv4 routes, from the text of /proc/net/route. */
export function parseOnLinkRoutes(text: string): Prefix[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line): Prefix[] => {
      const [, destination = '', , flags = '', , , , mask = ''] = line
        .split('\t')
        .map((cell) => cell.trim());
      if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) {
        return [];
      }
      const flagBits = Number.parseInt(flags, 16);
      const bits = mask
        .match(/../g)
        ?.reduce(
          (sum, byte) => sum + Number.parseInt(byte, 16).toString(2).replaceAll('0', '').length,
          0,
        );
      if (
        bits === undefined ||
        bits === 0 ||
        (flagBits & RTF_UP) === 0 ||
        (flagBits & RTF_GATEWAY) !== 0
      ) {
        return [];
      }
      // Bytes stand in memory order of a little-endian number.
      const bytes = destination.match(/../g)?.reverse() ?? [];
      return [{ family: 4, value: BigInt(`0x${bytes.join('')}`), bits }];
    });
}

/** Subnets that networks must not be given by default: on-link routes and name servers of the host. */
export async function reservedPrefixes(family: Family, resolvConf: ResolvConf): Promise<Prefix[]> {
  const servers = resolvConf.servers.flatMap((text): Prefix[] => {
    const address = parseAddress(text);
    return address?.family === family ? [{ ...address, bits: widthOf(family) }] : [];
  });
  const routes =
    family === 4
      ? parseOnLinkRoutes((await readTextIfThere('/proc/net/route')) ?? '')
      : interfacePrefixes();
  return [...servers, ...routes];
}

/** IPv6 prefixes of the host's own addresses, other than link-local. */
function interfacePrefixes(): Prefix[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .flatMap((entry): Prefix[] => {
      const prefix =
        entry.family === 'IPv6' && entry.cidr !== null ? parsePrefix(entry.cidr) : undefined;
      return prefix === undefined || prefix.value >> 118n === 0x3fan ? [] : [prefix];
    });
}

/** The host's resolv.conf; behind systemd-resolved's stub, the servers that it asks. */
export async function readHostResolvConf(path: string): Promise<ResolvConf> {
  const conf = parseResolvConf((await readTextIfThere(path)) ?? '');
  if (conf.servers.length === 1 && conf.servers[0] === '127.0.0.53') {
    const real = await readTextIfThere('/run/systemd/resolve/resolv.conf');
    return real === undefined ? conf : parseResolvConf(real);
  }
  return conf;
}

/** A device of the host. */
export interface HostDevice {
  readonly isBridge: boolean;
  readonly mac: string;
  /** `ifalias`, by which engines mark what is theirs. */
  readonly alias: string;
}

/** Reads a file of /sys; undefined when it is not there or its device goes away meanwhile (EINVAL, ENODEV). */
async function readSys(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'ENODEV'].includes(errnoOf(error) ?? '')) {
      return undefined;
    }
    throw error;
  }
}

/** Looks a device up by name. */
export async function findDevice(name: string): Promise<HostDevice | undefined> {
  const folder = `/sys/class/net/${name}`;
  const [mac, alias, bridge] = await Promise.all([
    readSys(`${folder}/address`),
    readSys(`${folder}/ifalias`),
    readSys(`${folder}/bridge/bridge_id`),
  ]);
  return mac === undefined
    ? undefined
    : { isBridge: bridge !== undefined, mac, alias: alias ?? '' };
}

/** Names of all devices. */
export async function listDevices(): Promise<string[]> {
  return await readdir('/sys/class/net');
}

/** IPv4 and IPv6 prefixes (`ADDRESS/BITS`) on a device, link-local ones left out. */
export function devicePrefixes(name: string): string[] {
  return (networkInterfaces()[name] ?? []).flatMap((entry) =>
    entry.cidr === null || entry.address.startsWith('fe80:') ? [] : [entry.cidr],
  );
}

/** True when the kernel can listen on IPv6 at all. */
export async function hasIPv6(): Promise<boolean> {
  const disabled = await readTextIfThere('/proc/sys/net/ipv6/conf/all/disable_ipv6');
  return disabled?.trim() === '0' || (await readTextIfThere('/proc/net/if_inet6')) !== undefined;
}

/** Sets a value below /proc/sys/net; a refusal is reported and survived. */
export async function setSysctl(path: string, value: string, log: Logger): Promise<void> {
  const file = `/proc/sys/net/${path}`;
  try {
    if ((await readFile(file, 'utf8')).trim() !== value) {
      await writeFile(file, value);
    }
  } catch (error) {
    log.warn('kernel setting could not be changed', {
      setting: file,
      value,
      reason: messageOf(error),
    });
  }
}

/** Lets the host pass IPv6 packets on, without losing routes that it learns from router advertisements. */
export async function enableIPv6Forwarding(log: Logger): Promise<void> {
  if ((await readTextIfThere('/proc/sys/net/ipv6/conf/all/forwarding'))?.trim() === '1') {
    return;
  }
  for (const device of await listDevices()) {
    if ((await readSys(`/proc/sys/net/ipv6/conf/${device}/accept_ra`)) === '1') {
      await setSysctl(`ipv6/conf/${device}/accept_ra`, '2', log);
    }
  }
  await setSysctl('ipv6/conf/default/forwarding', '1', log);
  await setSysctl('ipv6/conf/all/forwarding', '1', log);
}
