import { describe, expect, test } from 'vitest';
import {
  addressData,
  encodeAnswer,
  encodeQuery,
  nameData,
  parseQuery,
  RCODE,
  rcodeOfReply,
  TYPE,
  withId,
} from './message.ts';

/** Seeded, so that a failure can be repeated. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

describe('parseQuery', () => {
  test('reads what was written', () => {
    expect(parseQuery(encodeQuery(0xbeef, 'Web.example', TYPE.AAAA, 1232))).toMatchObject({
      id: 0xbeef,
      name: 'Web.example',
      type: TYPE.AAAA,
      recordClass: 1,
      isRecursionDesired: true,
      udpLimitBytes: 1232,
      hasEdns: true,
    });
    expect(parseQuery(encodeQuery(1, 'a', TYPE.A))).toMatchObject({
      udpLimitBytes: 512,
      hasEdns: false,
    });
    expect(parseQuery(encodeQuery(1, '', TYPE.ANY))).toMatchObject({ name: '' });
  });

  test('refuses answers, compressed questions, and every cut of a good query', () => {
    const good = encodeQuery(7, 'db.internal', TYPE.A, 4096);
    for (let length = 0; length < good.length; length += 1) {
      expect(parseQuery(good.subarray(0, length))).toBeUndefined();
    }
    const reply = Uint8Array.from(good);
    reply[2] = 0x80;
    expect(parseQuery(reply)).toBeUndefined();
    const compressed = Uint8Array.from(good);
    compressed[12] = 0xc0;
    expect(parseQuery(compressed)).toBeUndefined();
    const dotted = Uint8Array.from(good);
    dotted[13] = '.'.codePointAt(0)!;
    expect(parseQuery(dotted)).toBeUndefined();
  });

  test('neither noise nor damaged queries make it throw', () => {
    const random = randomSource(42);
    for (let round = 0; round < 20_000; round += 1) {
      let bytes: Uint8Array;
      if (round % 2 === 0) {
        bytes = Uint8Array.from({ length: Math.floor(random() * 90) }, () =>
          Math.floor(random() * 256),
        );
      } else {
        bytes = encodeQuery(round & 0xffff, 'some.name.example', TYPE.A, 1400);
        for (let hit = 0; hit < 4; hit += 1) {
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        }
      }
      const query = parseQuery(bytes);
      if (query !== undefined) {
        const answer = encodeAnswer(query, { rcode: RCODE.ok, records: [], transport: 'udp' });
        expect(rcodeOfReply(query, query.id, answer)).toBe(RCODE.ok);
      }
      rcodeOfReply(parseQuery(encodeQuery(1, 'x', TYPE.A))!, 1, bytes);
    }
  });
});

describe('encodeAnswer', () => {
  const query = parseQuery(encodeQuery(9, 'web', TYPE.A))!;
  const record = { type: TYPE.A, ttlSec: 600, data: addressData(0x0a000102n, 4) };

  test('writes the bytes of RFC 1035', () => {
    expect(
      Buffer.from(encodeAnswer(query, { rcode: 0, records: [record], transport: 'udp' })).toString(
        'hex',
      ),
    ).toBe(
      '0009818000010001000000000377656200000100 01c00c00010001000002580004 0a000102'.replaceAll(
        ' ',
        '',
      ),
    );
  });

  test('leaves out what does not fit in UDP and says so; TCP takes it all', () => {
    const records = Array.from({ length: 100 }, () => record);
    const udp = encodeAnswer(query, { rcode: 0, records, transport: 'udp' });
    expect(udp.length).toBeLessThanOrEqual(512);
    expect(udp[2]! & 2).toBe(2);
    const tcp = encodeAnswer(query, { rcode: 0, records, transport: 'tcp' });
    expect(tcp[2]! & 2).toBe(0);
    expect(new DataView(tcp.buffer).getUint16(6)).toBe(100);
  });

  test('EDNS is answered with EDNS', () => {
    const withEdns = parseQuery(encodeQuery(9, 'web', TYPE.A, 4096))!;
    const answer = encodeAnswer(withEdns, { rcode: 0, records: [record], transport: 'udp' });
    expect(new DataView(answer.buffer).getUint16(10)).toBe(1);
    expect(new DataView(answer.buffer).getUint16(answer.length - 10)).toBe(TYPE.OPT);
  });
});

describe('replies of other servers', () => {
  const query = parseQuery(encodeQuery(9, 'web.example', TYPE.A))!;
  const reply = encodeAnswer(query, { rcode: RCODE.nameError, records: [], transport: 'udp' });

  test('count only for the question and the id that were sent', () => {
    expect(rcodeOfReply(query, 9, reply)).toBe(RCODE.nameError);
    expect(rcodeOfReply(query, 8, reply)).toBeUndefined();
    expect(rcodeOfReply(parseQuery(encodeQuery(9, 'other', TYPE.A))!, 9, reply)).toBeUndefined();
    expect(
      rcodeOfReply(parseQuery(encodeQuery(9, 'web.example', TYPE.AAAA))!, 9, reply),
    ).toBeUndefined();
    expect(rcodeOfReply(query, 77, withId(reply, 77))).toBe(RCODE.nameError);
    expect(rcodeOfReply(query, 9, reply.subarray(0, 11))).toBeUndefined();
  });

  test('names in records stay within the limits of the format', () => {
    expect([...nameData('ab.c.')]).toEqual([2, 97, 98, 1, 99, 0]);
    expect(nameData('x'.repeat(100))[0]).toBe(63);
    expect(
      nameData(Array.from({ length: 60 }, () => 'label').join('.')).length,
    ).toBeLessThanOrEqual(255);
  });
});
