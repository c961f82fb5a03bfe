import { describe, expect, test } from 'vitest';
import {
  type FirewallNetwork,
  type FirewallState,
  portCommands,
  renderBridgeTable,
  renderRemoval,
  renderTable,
} from './firewall-rules.ts';

const plain: FirewallNetwork = {
  key: 'aaaaaaaaaaaa',
  device: 'br-aaaaaaaaaaaa',
  isInternal: false,
  isMasquerading: true,
  ipv4: { subnet: '10.1.0.0/24', mode: 'nat', hostAddress: '' },
  ipv6: undefined,
  trustedInterfaces: [],
};

function state(
  networks: readonly FirewallNetwork[],
  more: Partial<FirewallState> = {},
): FirewallState {
  return {
    table: 'gantry_abcdef',
    vethPrefix: 'gvabcdef',
    dnsPort: 5300,
    networks,
    ports: [],
    ...more,
  };
}

/** Rules of one chain, without the hook line. */
function chain(text: string, name: string): string[] {
  const body = text.split(`\tchain ${name} {\n`)[1]?.split('\t}')[0] ?? '';
  return body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('type '));
}

describe('renderTable', () => {
  test('replaces the table in one transaction', () => {
    const text = renderTable(state([plain]));
    expect(text.split('\n').slice(0, 3)).toEqual([
      'table inet gantry_abcdef',
      'delete table inet gantry_abcdef',
      'table inet gantry_abcdef {',
    ]);
  });

  test('what comes in must be an answer, a neighbour or a published port', () => {
    expect(chain(renderTable(state([plain])), 'in_aaaaaaaaaaaa')).toEqual([
      'ct state established,related accept',
      'iifname "br-aaaaaaaaaaaa" accept',
      'ct status dnat accept',
      'drop',
    ]);
  });

  test('an internal network neither sends nor receives, and is not translated', () => {
    const text = renderTable(state([{ ...plain, isInternal: true }]));
    expect(chain(text, 'in_aaaaaaaaaaaa')).toEqual(['iifname != "br-aaaaaaaaaaaa" drop']);
    expect(chain(text, 'out_aaaaaaaaaaaa')).toEqual(['oifname != "br-aaaaaaaaaaaa" drop']);
    expect(chain(text, 'postrouting')).toEqual([]);
  });

  test('the side a packet comes from is asked before the side it goes to', () => {
    const [first, second] = chain(renderTable(state([plain])), 'forward');
    expect(first).toContain('iifname vmap');
    expect(second).toContain('oifname vmap');
  });

  test('masquerading can be off, or use a given address', () => {
    const off = chain(renderTable(state([{ ...plain, isMasquerading: false }])), 'postrouting');
    expect(off.some((line) => line.includes('oifname !='))).toBe(false);
    const fixed = chain(
      renderTable(
        state([
          { ...plain, ipv4: { subnet: '10.1.0.0/24', mode: 'nat', hostAddress: '192.0.2.7' } },
        ]),
      ),
      'postrouting',
    );
    expect(fixed).toContain(
      'ip saddr 10.1.0.0/24 oifname != "br-aaaaaaaaaaaa" snat ip to 192.0.2.7',
    );
  });

  test('a routed family is open for its ports and ping, and keeps its source addresses', () => {
    const text = renderTable(
      state([{ ...plain, ipv6: { subnet: 'fd00::/64', mode: 'routed', hostAddress: '' } }], {
        ports: [
          { protocol: 'tcp', hostIp: '::', hostPort: 0, containerIp: 'fd00::2', containerPort: 80 },
        ],
      }),
    );
    expect(chain(text, 'in_aaaaaaaaaaaa')).toContain(
      'ip6 daddr . meta l4proto . th dport @open6 accept',
    );
    expect(chain(text, 'postrouting').some((line) => line.startsWith('ip6'))).toBe(false);
    expect(text).toContain('elements = { fd00::2 . tcp . 80 }');
  });

  test('without networks it is still a whole table', () => {
    const text = renderTable(state([]));
    expect(text).not.toContain('{  }');
    expect(chain(text, 'forward')).toEqual([]);
  });

  test('the other table covers the interfaces of this engine only', () => {
    const lines = chain(renderBridgeTable(state([plain])), 'forward');
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.every((line) => line.startsWith('iifname "gvabcdef*" '))).toBe(true);
  });

  test('removal works whether or not the table is there', () => {
    expect(renderRemoval('inet', 'gantry_abcdef')).toBe(
      'table inet gantry_abcdef\ndelete table inet gantry_abcdef\n',
    );
  });
});

describe('portCommands', () => {
  test('groups elements by map and names keys only when removing', () => {
    const ports = [
      {
        protocol: 'tcp',
        hostIp: '0.0.0.0',
        hostPort: 80,
        containerIp: '10.1.0.2',
        containerPort: 8080,
      },
      {
        protocol: 'udp',
        hostIp: '0.0.0.0',
        hostPort: 53,
        containerIp: '10.1.0.2',
        containerPort: 53,
      },
      {
        protocol: 'tcp',
        hostIp: '127.0.0.1',
        hostPort: 81,
        containerIp: '10.1.0.2',
        containerPort: 81,
      },
      { protocol: 'tcp', hostIp: '::', hostPort: 80, containerIp: 'fd00::2', containerPort: 8080 },
    ] as const;
    expect(portCommands('t', 'add', ports)).toBe(
      'add element inet t any4 { tcp . 80 : 10.1.0.2 . 8080, udp . 53 : 10.1.0.2 . 53 }; ' +
        'add element inet t one4 { 127.0.0.1 . tcp . 81 : 10.1.0.2 . 81 }; ' +
        'add element inet t any6 { tcp . 80 : fd00::2 . 8080 }',
    );
    expect(portCommands('t', 'delete', ports)).toBe(
      'delete element inet t any4 { tcp . 80, udp . 53 }; ' +
        'delete element inet t one4 { 127.0.0.1 . tcp . 81 }; ' +
        'delete element inet t any6 { tcp . 80 }',
    );
  });
});
