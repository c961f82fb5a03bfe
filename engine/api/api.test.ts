import { describe, expect, it } from 'vitest';
import { StreamDemux } from './client/demux.ts';
import {
  boolFilter,
  matchesLabels,
  matchesPattern,
  matchesPruneLabels,
  parseFilters,
} from './filters.ts';
import { encodeJson, explainJson } from './json.ts';
import { encodeFrame, type FrameStream } from './stream-framing.ts';
import { formatTimeNs, parseDurationNs, parseTimeNs, parseUnixTimeNs } from './time.ts';
import { compareVersions, versionProblem } from './versions.ts';

describe('versions', () => {
  it('compares numbers, not text', () => {
    expect(compareVersions('1.9', '1.10')).toBeLessThan(0);
    expect(compareVersions('1.51', '1.51.0')).toBe(0);
    expect(compareVersions('2.0', '1.51')).toBeGreaterThan(0);
  });

  it('names the limit that was passed', () => {
    expect(versionProblem('1.12')).toBe(
      'client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    );
    expect(versionProblem('1.99')).toBe(
      'client version 1.99 is too new. Maximum supported API version is 1.51',
    );
    expect(versionProblem('1.24')).toBeUndefined();
    expect(versionProblem('1.51')).toBeUndefined();
  });
});

describe('filters', () => {
  it.each(['{"label":["a","b=c"]}', '{"label":{"a":true,"b=c":true}}'])('reads %s', (text) => {
    expect([...parseFilters(text)]).toEqual([['label', ['a', 'b=c']]]);
  });

  it.each(['', 'null', '{}'])('takes %j as none', (text) => {
    expect(parseFilters(text).size).toBe(0);
  });

  it.each(['x', '[]', '"a"', '{"a":"b"}', '{"a":[1]}', '{"a":{"b":"c"}}', '{"a":1}'])(
    'refuses %s',
    (text) => {
      expect(() => parseFilters(text)).toThrow('invalid filter');
    },
  );

  it('reads truth values and refuses contradictions', () => {
    expect(boolFilter(parseFilters('{"dangling":["1"]}'), 'dangling', false)).toBe(true);
    expect(boolFilter(parseFilters('{"dangling":["false"]}'), 'dangling', true)).toBe(false);
    expect(boolFilter(parseFilters(''), 'dangling', true)).toBe(true);
    expect(() => boolFilter(parseFilters('{"dangling":["1","0"]}'), 'dangling', true)).toThrow(
      "invalid filter 'dangling=[1 0]'",
    );
    expect(() => boolFilter(parseFilters('{"dangling":["x"]}'), 'dangling', true)).toThrow(
      "invalid filter 'dangling=[x]'",
    );
  });

  it('matches labels by name and by value', () => {
    const labels = { a: '1', b: '' };
    expect(matchesLabels(parseFilters('{"label":["a","b="]}'), 'label', labels)).toBe(true);
    expect(matchesLabels(parseFilters('{"label":["a=2"]}'), 'label', labels)).toBe(false);
    expect(matchesLabels(parseFilters('{"label":["toString"]}'), 'label', labels)).toBe(false);
    expect(matchesPruneLabels(parseFilters('{"label!":["a"]}'), labels)).toBe(false);
    expect(matchesPruneLabels(parseFilters('{"label!":["c"]}'), labels)).toBe(true);
  });

  it('treats names as patterns, and dangerous patterns as text', () => {
    expect(matchesPattern(parseFilters('{"name":["^w.b$"]}'), 'name', 'web')).toBe(true);
    expect(matchesPattern(parseFilters('{"name":["("]}'), 'name', 'web')).toBe(false);
    expect(matchesPattern(parseFilters('{"name":["(a+)+$"]}'), 'name', 'a'.repeat(64))).toBe(false);
  });
});

describe('times', () => {
  it('reads seconds with nanoseconds', () => {
    expect(parseUnixTimeNs('1136073600.000000001', 'since')).toBe(1136073600000000001n);
    expect(parseUnixTimeNs('5.5', 'since')).toBe(5_500_000_000n);
    expect(parseUnixTimeNs('0', 'since')).toBeUndefined();
    expect(() => parseUnixTimeNs('x', 'since')).toThrow('invalid value for "since"');
  });

  it('reads durations, dates and seconds', () => {
    expect(parseDurationNs('1h10m0.5s')).toBe(4_200_500_000_000n);
    expect(parseDurationNs('-2ms')).toBe(-2_000_000n);
    expect(parseTimeNs('10s', 60_000)).toBe(50_000_000_000n);
    expect(parseTimeNs('1970-01-01T00:01:00Z', 0)).toBe(60_000_000_000n);
    expect(parseTimeNs('1970-01-01T01:00+01:00', 0)).toBe(0n);
    expect(parseTimeNs('1970-01-01T00:00:00.123456789Z', 0)).toBe(123_456_789n);
    expect(parseTimeNs('12.5', 0)).toBe(12_500_000_000n);
    expect(() => parseTimeNs('yesterday', 0)).toThrow('failed to parse value as time or duration');
  });

  it('writes nine digits', () => {
    expect(formatTimeNs(1_000_000_007n)).toBe('1970-01-01T00:00:01.000000007Z');
  });
});

describe('json', () => {
  it('writes bigints as numbers', () => {
    expect(encodeJson({ a: 12345678901234567890n, b: [1n], c: 'x' })).toBe(
      '{"a":12345678901234567890,"b":[1],"c":"x"}',
    );
  });

  it.each([
    ['', { kind: 'empty' }],
    [' \n', { kind: 'empty' }],
    ['{', { kind: 'truncated' }],
    ['{"a":tr', { kind: 'truncated' }],
    ['{"a', { kind: 'truncated' }],
    ['{} trailing', { kind: 'trailing' }],
    [
      '{invalid json',
      {
        kind: 'invalid',
        message: "invalid character 'i' looking for beginning of object key string",
      },
    ],
    ['{"a" 1}', { kind: 'invalid', message: "invalid character '1' after object key" }],
    [
      '{"a":1 "b"}',
      { kind: 'invalid', message: `invalid character '"' after object key:value pair` },
    ],
    ['[1 2]', { kind: 'invalid', message: "invalid character '2' after array element" }],
    ['x', { kind: 'invalid', message: "invalid character 'x' looking for beginning of value" }],
    ['{"a":"\n"}', { kind: 'invalid', message: "invalid character '\n' in string literal" }],
  ])('explains %j', (text, problem) => {
    expect(explainJson(text)).toEqual(problem);
  });

  it('stays linear on deep nesting', () => {
    expect(explainJson('['.repeat(200_000))).toEqual({ kind: 'truncated' });
  });
});

describe('stream framing', () => {
  it('is taken apart whatever the splits', () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let round = 0; round < 50; round += 1) {
      const sent: [FrameStream, string][] = [];
      const parts: Uint8Array[] = [];
      for (let i = 0; i < 20; i += 1) {
        const stream = random(2) === 0 ? 'stdout' : 'stderr';
        const payload = new Uint8Array(random(300)).map(() => random(256));
        sent.push([stream, Buffer.from(payload).toString('hex')]);
        parts.push(encodeFrame(stream, payload));
      }
      const bytes = Buffer.concat(parts);
      const demux = new StreamDemux();
      const got = { stdout: '', stderr: '' };
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 1 + random(400));
        for (const chunk of demux.push(bytes.subarray(at, end))) {
          if (chunk.stream === 'stdout' || chunk.stream === 'stderr') {
            got[chunk.stream] += Buffer.from(chunk.bytes).toString('hex');
          }
        }
        at = end;
      }
      expect(demux.isAtBoundary).toBe(true);
      for (const stream of ['stdout', 'stderr'] as const) {
        expect(got[stream]).toBe(
          sent
            .filter(([name]) => name === stream)
            .map(([, hex]) => hex)
            .join(''),
        );
      }
    }
  });
});
