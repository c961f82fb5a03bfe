import { describe, expect, it } from 'vitest';
import { joinBytes, readJsonLines } from './bytes.ts';
import { StreamDemux } from './demux.ts';

function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.byteLength);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(4, payload.byteLength);
  bytes.set(payload, 8);
  return bytes;
}

/** Small linear congruential generator, so that a failure can be repeated from its seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state % below;
  };
}

function collect(demux: StreamDemux, pieces: readonly Uint8Array[]) {
  const out = { stdin: [] as Uint8Array[], stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for (const piece of pieces) {
    for (const chunk of demux.push(piece)) {
      out[chunk.stream].push(chunk.bytes.slice());
    }
  }
  return { stdout: joinBytes(out.stdout), stderr: joinBytes(out.stderr) };
}

describe('StreamDemux', () => {
  it('yields the same bytes however the stream is split', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = randomFrom(seed);
      const expected = { 1: [] as Uint8Array[], 2: [] as Uint8Array[] };
      const frames = Array.from({ length: 1 + random(20) }, () => {
        const payload = Uint8Array.from({ length: random(40) }, () => random(256));
        const type = random(2) === 0 ? 1 : 2;
        expected[type].push(payload);
        return frame(type, payload);
      });
      const whole = joinBytes(frames);
      const pieces: Uint8Array[] = [];
      for (let offset = 0; offset < whole.byteLength; ) {
        const length = 1 + random(13);
        pieces.push(whole.subarray(offset, offset + length));
        offset += length;
      }
      const demux = new StreamDemux();
      const result = collect(demux, pieces);
      expect(result.stdout, `seed ${seed}`).toEqual(joinBytes(expected[1]));
      expect(result.stderr, `seed ${seed}`).toEqual(joinBytes(expected[2]));
      expect(demux.isAtBoundary, `seed ${seed}`).toBe(true);
    }
  });

  it('refuses bytes that are no frames', () => {
    expect(() => new StreamDemux().push(new TextEncoder().encode('plain text'))).toThrow(
      /not a multiplexed stream/,
    );
  });

  it('knows when the stream was cut inside a frame', () => {
    const demux = new StreamDemux();
    demux.push(frame(1, new Uint8Array(5)).subarray(0, 10));
    expect(demux.isAtBoundary).toBe(false);
  });
});

describe('readJsonLines', () => {
  it('puts characters and objects together that were split between chunks', async () => {
    const text = '{"a":"grün ✓"}\r\n\n{"b":2}\nnot json\n{"c":3}';
    const bytes = new TextEncoder().encode(text);
    async function* single(): AsyncGenerator<Uint8Array> {
      for (const byte of bytes) {
        yield Uint8Array.of(byte);
      }
    }
    const values = await Array.fromAsync(readJsonLines(single()));
    expect(values).toEqual([{ a: 'grün ✓' }, { b: 2 }, { c: 3 }]);
  });
});
