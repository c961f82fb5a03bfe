import { describe, expect, it } from 'vitest';
import {
  MAX_SCROLL_HEIGHT_PX,
  moveByPx,
  rowsFromEnd,
  type ScrollGeometry,
  scrollHeightPx,
  scrollOfTop,
  topLimit,
  topOfScroll,
} from './scroll-map.ts';

const geometry = (rowCount: number): ScrollGeometry => ({
  rowCount,
  rowHeightPx: 20,
  viewportPx: 800,
  rowsAtEnd: 40,
});

describe('scroll map', () => {
  it('is one to one while the lines fit into an element', () => {
    const small = geometry(1000);
    expect(scrollHeightPx(small)).toBe(20_000);
    expect(topOfScroll(small, 400)).toBeCloseTo(20, 9);
    expect(scrollOfTop(small, 20)).toBeCloseTo(400, 6);
  });

  it('reaches the first and the last row of ten million lines', () => {
    const huge = geometry(10_000_000);
    expect(scrollHeightPx(huge)).toBe(MAX_SCROLL_HEIGHT_PX);
    expect(topOfScroll(huge, 0)).toBe(0);
    expect(topOfScroll(huge, MAX_SCROLL_HEIGHT_PX - 800)).toBe(topLimit(huge));
  });

  it('finds every row again after a round trip', () => {
    const million = geometry(1_000_000);
    for (let row = 0; row < topLimit(million); row += 9973) {
      expect(Math.abs(topOfScroll(million, scrollOfTop(million, row)) - row)).toBeLessThan(1e-6);
    }
  });

  it('does not scroll what fits', () => {
    expect(scrollHeightPx(geometry(10))).toBe(800);
    expect(topOfScroll(geometry(10), 100)).toBe(0);
    expect(topLimit(geometry(0))).toBe(0);
  });
});

describe('moveByPx', () => {
  const heights = [20, 60, 20, 100, 20];
  const heightOf = (row: number): number => heights[row] ?? 20;

  it('walks over rows of different heights, both ways', () => {
    expect(moveByPx(0, 20, 5, heightOf)).toBeCloseTo(1, 6);
    expect(moveByPx(0, 50, 5, heightOf)).toBeCloseTo(1.5, 6);
    expect(moveByPx(1.5, -50, 5, heightOf)).toBeCloseTo(0, 6);
    expect(moveByPx(3.5, -50, 5, heightOf)).toBeCloseTo(3, 6);
  });

  it('stops at the first and within the last row', () => {
    expect(moveByPx(1, -1000, 5, heightOf)).toBe(0);
    expect(moveByPx(0, 10_000, 5, heightOf)).toBeLessThan(5);
  });
});

describe('rowsFromEnd', () => {
  it('counts the part of the first row that is seen, and room for rows to come', () => {
    expect(
      rowsFromEnd({ rowCount: 5, viewportPx: 70, rowHeightPx: 20 }, (row) =>
        row === 3 ? 100 : 20,
      ),
    ).toBeCloseTo(1.5, 6);
    expect(rowsFromEnd({ rowCount: 2, viewportPx: 800, rowHeightPx: 20 }, () => 20)).toBe(40);
  });
});
