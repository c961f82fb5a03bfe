/** Publishing the ports of one sandbox: choice of host ports, sockets that hold them, elements for the firewall. */
import { open } from 'node:fs/promises';
import { ConflictError, messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { PortBinding } from './contract.ts';
import type { FirewallPort } from './firewall-rules.ts';
import { type PortAllocator, type PortPlan, type PortTarget, planPorts } from './port-allocator.ts';
import {
  bindReason,
  type HostSocket,
  openTcpPort,
  openUdpPort,
  type ProxyTarget,
} from './port-proxy.ts';

/** Free ports of a range are tried this often when another program turns out to have them. */
const MAX_ATTEMPTS = 64;
/** Docker's range where the kernel does not tell its own. */
const DEFAULT_RANGE = { first: 49_153, last: 65_535 };

/** Range from which the kernel gives ports to those who name none. */
export async function ephemeralRange(): Promise<{ readonly first: number; readonly last: number }> {
  try {
    await using file = await open('/proc/sys/net/ipv4/ip_local_port_range');
    const [first = 0, last = 0] = (await file.readFile('utf8')).trim().split(/\s+/).map(Number);
    return first > 0 && last >= first && last <= 65_535 ? { first, last } : DEFAULT_RANGE;
  } catch {
    return DEFAULT_RANGE;
  }
}

/** One port as it is bound. */
interface BoundPort {
  readonly plan: PortPlan;
  /** 0 in routed mode. */
  readonly hostPort: number;
  readonly socket: HostSocket | undefined;
}

function describe(plan: PortPlan): string {
  const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
  const { hostPort, hostPortEnd = hostPort, containerPort, protocol } = plan.binding;
  const ports =
    hostPort === 0 ? '' : hostPortEnd === hostPort ? `${hostPort}` : `${hostPort}-${hostPortEnd}`;
  return `${bracketed(plan.hostIp)}:${ports}:${bracketed(plan.containerIp)}:${containerPort}/${protocol}`;
}

/** Ports of one sandbox. Their targets may change while they stay bound. */
export class SandboxPorts implements AsyncDisposable {
  readonly #allocator: PortAllocator;
  readonly #log: Logger;
  #bound: BoundPort[] = [];
  #target = '';

  constructor(allocator: PortAllocator, log: Logger) {
    this.#allocator = allocator;
    this.#log = log;
  }

  /** As bound, IPv4 and IPv6 apart. */
  get bindings(): readonly PortBinding[] {
    return this.#bound.map(({ plan, hostPort }) => ({
      containerPort: plan.binding.containerPort,
      protocol: plan.binding.protocol,
      hostIp: plan.hostIp,
      hostPort,
    }));
  }

  /** What the kernel can do of it. */
  get firewallPorts(): readonly FirewallPort[] {
    return this.#bound.flatMap(({ plan, hostPort }): FirewallPort[] => {
      const isSameFamily = plan.hostIp.includes(':') === plan.containerIp.includes(':');
      return isSameFamily
        ? [
            {
              protocol: plan.binding.protocol,
              hostIp: plan.hostIp,
              hostPort,
              containerIp: plan.containerIp,
              containerPort: plan.binding.containerPort,
            },
          ]
        : [];
    });
  }

  /** True when the ports were opened for this very target. */
  leadsTo(target: PortTarget): boolean {
    return this.#target === JSON.stringify(target);
  }

  /**
   * Takes and binds all ports, or none.
   *
   * @throws ConflictError  a port is taken, by a container or by another program
   */
  async open(requested: readonly PortBinding[], target: PortTarget): Promise<void> {
    this.#target = JSON.stringify(target);
    try {
      for (const group of planPorts(requested, target)) {
        await this.#openGroup(group);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Takes the ports that a sandbox of an earlier run of the engine has. What cannot be bound any more goes on without
   * a socket: the kernel's translation is what counts.
   */
  async adopt(bindings: readonly PortBinding[], target: PortTarget): Promise<void> {
    this.#target = JSON.stringify(target);
    for (const group of planPorts(bindings, target)) {
      for (const plan of group) {
        const { hostPort, protocol } = plan.binding;
        const port = plan.isTranslated ? hostPort : 0;
        let socket: HostSocket | undefined;
        try {
          if (port !== 0) {
            this.#allocator.request([plan.hostIp], protocol, port, port);
            socket = await this.#bind(plan, port);
          }
        } catch (error) {
          this.#log.warn('published port could not be bound again', {
            port: describe(plan),
            reason: messageOf(error),
          });
        }
        this.#bound.push({ plan, hostPort: port, socket });
      }
    }
  }

  /** Frees all ports. Idempotent. */
  async close(): Promise<void> {
    const bound = this.#bound;
    this.#bound = [];
    this.#target = '';
    await Promise.all(
      bound.map(async ({ plan, hostPort, socket }) => {
        await socket?.[Symbol.asyncDispose]();
        if (hostPort !== 0) {
          this.#allocator.release(plan.hostIp, plan.binding.protocol, hostPort);
        }
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #openGroup(group: readonly PortPlan[]): Promise<void> {
    const [first] = group;
    if (first === undefined) {
      return;
    }
    const { hostPort, hostPortEnd = hostPort, protocol } = first.binding;
    const translated = group.filter((plan) => plan.isTranslated);
    const addresses = [...new Set(translated.map((plan) => plan.hostIp))];
    const isExact = hostPort !== 0 && hostPort === hostPortEnd;
    const attempts = isExact
      ? 1
      : Math.min(MAX_ATTEMPTS, this.#allocator.countOf(hostPort, hostPortEnd));
    let last: unknown;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const port =
        addresses.length === 0
          ? 0
          : this.#allocator.request(addresses, protocol, hostPort, hostPortEnd);
      const opened: BoundPort[] = [];
      try {
        for (const plan of group) {
          const isRepeated = opened.some((other) => other.plan.hostIp === plan.hostIp);
          const socket =
            plan.isTranslated && !isRepeated ? await this.#bind(plan, port) : undefined;
          opened.push({ plan, hostPort: plan.isTranslated ? port : 0, socket });
        }
        this.#bound.push(...opened);
        return;
      } catch (error) {
        last = error;
        await Promise.all(opened.map(async ({ socket }) => socket?.[Symbol.asyncDispose]()));
        for (const address of addresses) {
          this.#allocator.release(address, protocol, port);
        }
      }
    }
    throw last;
  }

  async #bind(plan: PortPlan, port: number): Promise<HostSocket | undefined> {
    const { protocol, containerPort, hostPort, hostPortEnd = hostPort } = plan.binding;
    const target: ProxyTarget = () => ({ address: plan.containerIp, port: containerPort });
    try {
      if (protocol === 'sctp') {
        // Node has no such sockets; the translation alone does it.
        return undefined;
      }
      const openPort = protocol === 'tcp' ? openTcpPort : openUdpPort;
      return await openPort({ address: plan.hostIp, port }, target);
    } catch (error) {
      const chosen = hostPort === hostPortEnd && hostPort !== 0 ? '' : ` ${port}`;
      throw new ConflictError(
        `failed to bind host port${chosen} for ${describe(plan)}: ${bindReason(error)}`,
        {
          cause: error,
        },
      );
    }
  }
}
