/**
 * Living beside programs that drop what they do not know: dockerd sets the policy of `ip filter FORWARD` to drop, ufw that
 * of INPUT as well. A drop there is final, whatever this engine's own table says. So, only in tables where such a policy
 * is found, rules that accept traffic of own bridges are put in front, marked with the engine's mark, and taken out again
 * when they are no longer needed. dockerd's DOCKER-USER chain is made for this and used where it is.
 */
import { z } from 'zod';
import type { NftTool } from './tools.ts';

/** What should pass. */
export interface ForeignDemand {
  readonly mark: string;
  readonly devices: readonly string[];
  /** Port on 127.0.0.1 that bridges may reach; 0 = none. */
  readonly dnsPort: number;
}

const listingSchema = z.object({
  nftables: z.array(
    z.looseObject({
      chain: z
        .object({
          family: z.string(),
          table: z.string(),
          name: z.string(),
          hook: z.string().optional(),
          policy: z.string().optional(),
        })
        .optional(),
      rule: z
        .object({
          family: z.string(),
          table: z.string(),
          chain: z.string(),
          handle: z.number(),
          comment: z.string().optional(),
        })
        .optional(),
    }),
  ),
});

type Listing = z.infer<typeof listingSchema>;

interface Wanted {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Rule text without comment; the comment tells rules apart. */
  readonly rule: string;
  readonly comment: string;
}

function wantedRules(listing: Listing, demand: ForeignDemand): Wanted[] {
  const wanted: Wanted[] = [];
  const chains = listing.nftables.flatMap((entry) =>
    entry.chain === undefined ? [] : [entry.chain],
  );
  for (const chain of chains) {
    // Only the tables of iptables: a chain elsewhere that drops was put there by the administrator on purpose.
    const isIptables =
      chain.table === 'filter' && (chain.family === 'ip' || chain.family === 'ip6');
    if (!isIptables || chain.policy !== 'drop') {
      continue;
    }
    if (chain.hook === 'forward') {
      const hasUserChain = chains.some(
        (other) =>
          other.family === chain.family &&
          other.table === chain.table &&
          other.name === 'DOCKER-USER',
      );
      for (const device of demand.devices) {
        for (const side of ['iifname', 'oifname']) {
          wanted.push({
            family: chain.family,
            table: chain.table,
            chain: hasUserChain ? 'DOCKER-USER' : chain.name,
            rule: `${side} "${device}" counter accept`,
            comment: `${demand.mark} ${side} ${device}`,
          });
        }
      }
    } else if (chain.hook === 'input' && chain.family === 'ip' && demand.dnsPort > 0) {
      for (const device of demand.devices) {
        for (const protocol of ['udp', 'tcp']) {
          wanted.push({
            family: chain.family,
            table: chain.table,
            chain: chain.name,
            rule: `iifname "${device}" ip daddr 127.0.0.1 ${protocol} dport ${demand.dnsPort} counter accept`,
            comment: `${demand.mark} dns ${protocol} ${device} ${demand.dnsPort}`,
          });
        }
      }
    }
  }
  return wanted;
}

/**
 * Commands that bring the rules in foreign tables in line with what is needed now: none when they are.
 *
 * @param json  output of `nft --json list table FAMILY filter`
 */
export function reconcileForeign(json: string, demand: ForeignDemand): string[] {
  const parsed = listingSchema.safeParse(JSON.parse(json));
  if (!parsed.success) {
    return [];
  }
  const listing = parsed.data;
  const wanted = wantedRules(listing, demand);
  const keyOf = (rule: {
    family: string;
    table: string;
    chain: string;
    comment?: string | undefined;
  }): string => `${rule.family} ${rule.table} ${rule.chain} ${rule.comment ?? ''}`;
  const missing = new Map(wanted.map((rule) => [keyOf(rule), rule]));
  const commands: string[] = [];
  for (const { rule } of listing.nftables) {
    // The mark ends in a fixed number of digits, so one engine's is never the beginning of another's.
    if (rule?.comment?.startsWith(demand.mark) === true && !missing.delete(keyOf(rule))) {
      commands.push(`delete rule ${rule.family} ${rule.table} ${rule.chain} handle ${rule.handle}`);
    }
  }
  for (const rule of missing.values()) {
    commands.push(
      `insert rule ${rule.family} ${rule.table} ${rule.chain} ${rule.rule} comment "${rule.comment}"`,
    );
  }
  return commands;
}

/** Families in which a table of iptables exists, and whether it drops by default. */
function iptablesFamilies(json: string): Map<string, boolean> {
  const families = new Map<string, boolean>();
  const parsed = listingSchema.safeParse(JSON.parse(json));
  for (const { chain } of parsed.success ? parsed.data.nftables : []) {
    if (chain?.table === 'filter' && (chain.family === 'ip' || chain.family === 'ip6')) {
      families.set(chain.family, families.get(chain.family) === true || chain.policy === 'drop');
    }
  }
  return families;
}

/** Applies {@link reconcileForeign} to the tables of iptables. */
export class ForeignFirewall {
  readonly #nft: NftTool;
  /** Families that may hold rules of this engine; at first, of an earlier run. */
  readonly #touched = new Set(['ip', 'ip6']);

  constructor(nft: NftTool) {
    this.#nft = nft;
  }

  /** @throws SystemError  rules could not be read or changed */
  async apply(demand: ForeignDemand): Promise<void> {
    const chains = await this.#nft.read(['--json', 'list', 'chains']);
    for (const [family, isDropping] of chains === undefined ? [] : iptablesFamilies(chains)) {
      if (!isDropping && !this.#touched.has(family)) {
        continue;
      }
      const json = await this.#nft.read(['--json', 'list', 'table', family, 'filter']);
      if (json !== undefined) {
        await this.#nft.apply(reconcileForeign(json, demand));
      }
      if (isDropping) {
        this.#touched.add(family);
      } else {
        this.#touched.delete(family);
      }
    }
  }
}
