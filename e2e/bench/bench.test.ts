import { describe, expect, it } from 'vitest';
import { type Figure, median } from './figure.ts';
import { insertTable, missedBar, short } from './table.ts';

const FIGURE: Figure = {
  key: 'x',
  name: 'x',
  unit: 'ms',
  repeats: 1,
  ratioBar: 0.5,
  run: async () => await Promise.resolve(1),
};

function measured(
  gantry: number,
  dockerd: number,
  figure: Figure = FIGURE,
): Parameters<typeof missedBar>[0] {
  return {
    figure,
    samples: new Map([
      ['Gantry', [gantry]],
      ['dockerd', [dockerd]],
    ]),
  };
}

describe('median', () => {
  it('is the middle of odd counts and the mean of the middle two of even ones', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });
});

describe('bars', () => {
  it('are missed above a ratio, or below it where more is better', () => {
    expect(missedBar(measured(4, 10))).toBeUndefined();
    expect(missedBar(measured(6, 10))).toContain('0.60');
    expect(missedBar(measured(4, 10, { ...FIGURE, isMoreBetter: true }))).toContain('0.40');
  });

  it('of own values hold without another engine', () => {
    const alone = { figure: { ...FIGURE, valueBar: 30 }, samples: new Map([['Gantry', [31]]]) };
    expect(missedBar(alone)).toContain('31');
  });
});

describe('table', () => {
  it('replaces what is between the markers and adds a missing end', () => {
    const once = insertTable('a\n<!-- bench -->\n\nb', 'T');
    expect(once).toBe('a\n<!-- bench -->\n\nT\n\n<!-- /bench -->\n\nb');
    expect(insertTable(once, 'U')).toBe('a\n<!-- bench -->\n\nU\n\n<!-- /bench -->\n\nb');
  });

  it('shows three figures or so', () => {
    expect([0.123, 12.34, 123.4].map(short)).toEqual(['0.12', '12.3', '123']);
  });
});
