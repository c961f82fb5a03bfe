/** This engine's tables in the kernel: kept in step with networks and ports, and put back when someone flushed them. */
import { KeyedLock } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { run } from '../base/node/run.ts';
import {
  type FirewallNetwork,
  type FirewallPort,
  type FirewallState,
  PROBE_CHAIN,
  portCommands,
  renderBridgeTable,
  renderRemoval,
  renderTable,
} from './firewall-rules.ts';
import { ForeignFirewall } from './foreign-firewall.ts';
import type { EngineNames } from './names.ts';
import type { NftTool } from './tools.ts';

/** What a {@link Firewall} works with. */
export interface FirewallOptions {
  readonly nft: NftTool;
  readonly names: EngineNames;
  /** False: nothing is ever done (`--iptables=false`). */
  readonly isEnabled: boolean;
  readonly log: Logger;
}

/**
 * The state that should be is kept here; changes of ports are small transactions, everything else replaces the table.
 * Calls are worked off one after the other.
 */
export class Firewall {
  readonly #options: FirewallOptions;
  readonly #lock = new KeyedLock();
  readonly #networks = new Map<string, FirewallNetwork>();
  /** Container id -> its ports. */
  readonly #ports = new Map<string, readonly FirewallPort[]>();
  readonly #foreign: ForeignFirewall;
  #dnsPort = 0;
  #hasBridgeFamily = true;
  #hasConntrackTool = true;

  constructor(options: FirewallOptions) {
    this.#options = options;
    this.#foreign = new ForeignFirewall(options.nft);
  }

  /** Takes over the state of a run before without touching the kernel; {@link reload} follows. */
  prime(state: {
    readonly networks: ReadonlyMap<string, FirewallNetwork>;
    readonly dnsPort: number;
  }): void {
    this.#dnsPort = state.dnsPort;
    this.#networks.clear();
    for (const [id, network] of state.networks) {
      this.#networks.set(id, network);
    }
  }

  /** Like {@link setPorts}, for the state only. */
  primePorts(containerId: string, ports: readonly FirewallPort[]): void {
    this.#ports.set(containerId, ports);
  }

  /** Adds, changes or removes (undefined) a network. */
  async setNetwork(id: string, network: FirewallNetwork | undefined): Promise<void> {
    if (network === undefined) {
      this.#networks.delete(id);
    } else {
      this.#networks.set(id, network);
    }
    try {
      await this.reload();
    } catch (error) {
      if (network !== undefined) {
        this.#networks.delete(id);
      }
      throw error;
    }
  }

  /** Replaces the ports of a container; none = removes them. */
  async setPorts(containerId: string, ports: readonly FirewallPort[]): Promise<void> {
    const before = this.#ports.get(containerId) ?? [];
    if (ports.length === 0) {
      this.#ports.delete(containerId);
    } else {
      this.#ports.set(containerId, ports);
    }
    if (!this.#options.isEnabled || (before.length === 0 && ports.length === 0)) {
      return;
    }
    const { nft, names } = this.#options;
    await this.#lock.run('', async () => {
      const commands = [
        portCommands(names.table, 'delete', before),
        portCommands(names.table, 'add', ports),
      ].filter((command) => command !== '');
      try {
        await nft.apply([commands.join('; ')]);
      } catch (error) {
        // The table is not as it should be: someone flushed it, or the last change was cut off.
        this.#options.log.warn('firewall rules were not as expected and are written anew', {
          reason: messageOf(error),
        });
        await this.#load();
      }
    });
    void this.#forgetUdp([...before, ...ports]);
  }

  /** Looks whether the table is there, which costs well under a millisecond, and writes it anew when it is not. */
  async ensure(): Promise<void> {
    const { nft, names, isEnabled, log } = this.#options;
    if (!isEnabled) {
      return;
    }
    await this.#lock.run('', async () => {
      try {
        await nft.apply([`list chain inet ${names.table} ${PROBE_CHAIN}`]);
      } catch {
        log.warn('firewall table was missing and is written anew', { table: names.table });
        await this.#load();
      }
    });
  }

  /** Writes everything anew and looks after the tables of other programs. */
  async reload(): Promise<void> {
    await this.#lock.run('', async () => this.#load());
  }

  /** Accepts own traffic in tables of other programs that would drop it. Failure is logged, not thrown. */
  async accommodateOthers(): Promise<void> {
    if (this.#options.isEnabled) {
      await this.#lock.run('', async () => this.#applyForeign());
    }
  }

  /** Removes all rules of this engine, also from other tables. */
  async remove(): Promise<void> {
    this.#networks.clear();
    this.#ports.clear();
    if (this.#options.isEnabled) {
      await this.#lock.run('', async () => {
        const { nft, names } = this.#options;
        await nft.load(renderRemoval('inet', names.table));
        if (this.#hasBridgeFamily) {
          await nft.load(renderRemoval('bridge', names.table));
        }
        await this.#applyForeign();
      });
    }
  }

  /**
   * A client that never stops sending keeps its old translation alive, and would talk to a container that is gone. Where
   * conntrack-tools are installed, such entries are dropped.
   */
  async #forgetUdp(ports: readonly FirewallPort[]): Promise<void> {
    const udp = ports.filter((port) => port.protocol === 'udp' && port.hostPort !== 0);
    try {
      for (const { hostPort, containerIp } of this.#hasConntrackTool ? udp : []) {
        const family = containerIp.includes(':') ? 'ipv6' : 'ipv4';
        await run('conntrack', [
          '-D',
          '-f',
          family,
          '-p',
          'udp',
          '--orig-port-dst',
          String(hostPort),
        ]);
      }
    } catch {
      this.#hasConntrackTool = false;
    }
  }

  async #load(): Promise<void> {
    const { nft, isEnabled, log } = this.#options;
    if (!isEnabled) {
      return;
    }
    const state = this.#state();
    const main = renderTable(state);
    if (this.#hasBridgeFamily) {
      try {
        await nft.load(main + renderBridgeTable(state));
      } catch (error) {
        // Either the kernel lacks the family, or the rules themselves are at fault, which the next attempt tells.
        this.#hasBridgeFamily = false;
        log.warn('this kernel cannot filter inside bridges', { reason: messageOf(error) });
      }
    }
    if (!this.#hasBridgeFamily) {
      await nft.load(main);
    }
    await this.#applyForeign();
  }

  async #applyForeign(): Promise<void> {
    const { names, log } = this.#options;
    try {
      await this.#foreign.apply({
        mark: names.mark,
        devices: [...this.#networks.values()].map((network) => network.device),
        dnsPort: this.#dnsPort,
      });
    } catch (error) {
      log.warn('rules could not be added to the tables of other programs', {
        reason: messageOf(error),
      });
    }
  }

  #state(): FirewallState {
    return {
      table: this.#options.names.table,
      vethPrefix: this.#options.names.vethPrefix,
      dnsPort: this.#dnsPort,
      networks: [...this.#networks.values()],
      ports: [...this.#ports.values()].flat(),
    };
  }
}
