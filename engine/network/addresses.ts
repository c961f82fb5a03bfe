/** IPv4 and IPv6 arithmetic: addresses are a family and an unsigned integer, so both families share one code path. */
import { randomBytes } from 'node:crypto';

/** 4 = IPv4, 6 = IPv6. */
export type Family = 4 | 6;

/** One address. */
export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
}

/** An address with a prefix length; host bits may be set until {@link masked} clears them. */
export interface Prefix {
  readonly family: Family;
  readonly value: bigint;
  /** 0 to 32 or 128. */
  readonly bits: number;
}

/** Address width of a family: 32 or 128. */
export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) {
    return undefined;
  }
  let value = 0n;
  for (const part of parts) {
    // Leading zeros are refused: some programs read them as octal.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) {
      return undefined;
    }
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') {
    return [];
  }
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part);
      if (v4 === undefined) {
        return undefined;
      }
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) {
    return undefined;
  }
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined) {
    return undefined;
  }
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) {
    return undefined;
  }
  let value = 0n;
  for (const group of [...head, ...Array.from<number>({ length: missing }).fill(0), ...tail]) {
    value = (value << 16n) | BigInt(group);
  }
  return value;
}

/** Reads an address; zones and leading zeros are refused. Undefined when it is none. */
export function parseAddress(text: string): IpAddress | undefined {
  if (text.includes(':')) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : { family: 6, value };
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 4, value };
}

const MAPPED = 0xffffn << 32n;

/** Turns an IPv4-mapped IPv6 address (`::ffff:1.2.3.4`) into the IPv4 address; others stay. */
export function unmapped(address: IpAddress): IpAddress {
  if (address.family === 6 && address.value >> 32n === MAPPED >> 32n) {
    return { family: 4, value: address.value & 0xffffffffn };
  }
  return address;
}

function formatIpv6(value: bigint): string {
  if (value >> 32n === MAPPED >> 32n) {
    return `::ffff:${formatAddress({ family: 4, value: value & 0xffffffffn })}`;
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let best = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) {
      length += 1;
    }
    if (length > bestLength) {
      best = start;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  return best < 0
    ? hex.join(':')
    : `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

/** Canonical text (RFC 5952 for IPv6). */
export function formatAddress(address: IpAddress): string {
  if (address.family === 6) {
    return formatIpv6(address.value);
  }
  return [24n, 16n, 8n, 0n].map((shift) => String((address.value >> shift) & 255n)).join('.');
}

/** Reads `address/bits`. Undefined when it is none. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf('/');
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(bits)) {
    return undefined;
  }
  if (Number(bits) > widthOf(address.family)) {
    return undefined;
  }
  return { ...address, bits: Number(bits) };
}

/** `address/bits`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix)}/${prefix.bits}`;
}

/** Number of addresses in a prefix. */
export function sizeOf(prefix: Prefix): bigint {
  return 1n << BigInt(widthOf(prefix.family) - prefix.bits);
}

/** The prefix with its host bits cleared. */
export function masked(prefix: Prefix): Prefix {
  return { ...prefix, value: prefix.value - (prefix.value % sizeOf(prefix)) };
}

/** Highest address of a prefix (IPv4: broadcast). */
export function lastOf(prefix: Prefix): bigint {
  return masked(prefix).value + sizeOf(prefix) - 1n;
}

/** True when the address lies in the prefix. */
export function contains(prefix: Prefix, address: IpAddress): boolean {
  return (
    prefix.family === address.family &&
    address.value >= masked(prefix).value &&
    address.value <= lastOf(prefix)
  );
}

/** True when the two have an address in common. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && masked(a).value <= lastOf(b) && masked(b).value <= lastOf(a);
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: IpAddress): boolean {
  return address.value === 0n;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: IpAddress): boolean {
  return address.family === 4 ? address.value >> 28n === 14n : address.value >> 120n === 0xffn;
}

/** Parses a full address text and gives its family, or undefined. */
export function familyOf(text: string): Family | undefined {
  return parseAddress(text)?.family;
}

/** Address of a reverse-lookup name (`4.3.2.1.in-addr.arpa`, `….ip6.arpa`, no final dot), or undefined. */
export function parseReverseName(name: string): IpAddress | undefined {
  const lower = name.toLowerCase();
  if (lower.endsWith('.in-addr.arpa')) {
    return parseAddress(lower.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.'));
  }
  if (lower.endsWith('.ip6.arpa')) {
    const digits = lower.slice(0, -'.ip6.arpa'.length).split('.').reverse().join('');
    if (/^[0-9a-f]{32}$/.test(digits)) {
      return { family: 6, value: BigInt(`0x${digits}`) };
    }
  }
  return undefined;
}

/** Lower-case colon form of a 48-bit hardware address (`:`, `-` or `.` separated), or undefined. */
export function parseMac(text: string): string | undefined {
  if (
    !/^([0-9a-f]{2}(:[0-9a-f]{2}){5}|[0-9a-f]{2}(-[0-9a-f]{2}){5}|[0-9a-f]{4}(\.[0-9a-f]{4}){2})$/i.test(
      text,
    )
  ) {
    return undefined;
  }
  const digits = text.replaceAll(/[^0-9a-f]/gi, '').toLowerCase();
  return digits.match(/../g)?.join(':');
}

/** A random unicast, locally administered hardware address. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
