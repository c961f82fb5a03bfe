/**
 * Browsers cannot lay out an element of a million lines (Chromium stops at 33.5 million device pixels), so the height
 * of the scrolled element is capped, and its scroll position stands for a share of the rows instead of for pixels.
 * Positions are fractional rows: 12.5 = the upper half of row 12 is above the window.
 */
export interface ScrollGeometry {
  readonly rowCount: number;
  readonly rowHeightPx: number;
  readonly viewportPx: number;
  /** Rows that fill the window at the end; differs from viewport / height when lines are wrapped. */
  readonly rowsAtEnd: number;
}

/** Tallest scrolled element: far below any browser's limit, also at a device pixel ratio of 3. */
export const MAX_SCROLL_HEIGHT_PX = 8_000_000;

/** Height to give to the scrolled element. */
export function scrollHeightPx(geometry: ScrollGeometry): number {
  const natural = topLimit(geometry) * geometry.rowHeightPx + geometry.viewportPx;
  return Math.min(MAX_SCROLL_HEIGHT_PX, Math.max(geometry.viewportPx, natural));
}

/** Greatest position: the last row is at the lower edge. */
export function topLimit(geometry: ScrollGeometry): number {
  return Math.max(0, geometry.rowCount - geometry.rowsAtEnd);
}

/** Position of a scroll offset in px. */
export function topOfScroll(geometry: ScrollGeometry, scrollTopPx: number): number {
  const range = scrollHeightPx(geometry) - geometry.viewportPx;
  return range <= 0 ? 0 : clampTop(geometry, (scrollTopPx / range) * topLimit(geometry));
}

/** Scroll offset in px that stands for a position. */
export function scrollOfTop(geometry: ScrollGeometry, top: number): number {
  const limit = topLimit(geometry);
  const range = scrollHeightPx(geometry) - geometry.viewportPx;
  return limit === 0 ? 0 : (clampTop(geometry, top) / limit) * range;
}

/** Position within the limits. */
export function clampTop(geometry: ScrollGeometry, top: number): number {
  return Math.min(topLimit(geometry), Math.max(0, top));
}

/**
 * Position after scrolling by a distance in px over rows of different heights.
 *
 * @param heightOf  height of a row in px; asked only for rows that are passed
 */
export function moveByPx(
  top: number,
  deltaPx: number,
  rowCount: number,
  heightOf: (row: number) => number,
): number {
  let row = Math.floor(top);
  let insidePx = (top - row) * heightOf(row) + deltaPx;
  while (insidePx < 0 && row > 0) {
    row -= 1;
    insidePx += heightOf(row);
  }
  while (row < rowCount - 1 && insidePx >= heightOf(row)) {
    insidePx -= heightOf(row);
    row += 1;
  }
  const share = insidePx / Math.max(1, heightOf(row));
  return Math.max(0, row + Math.min(0.999_999, Math.max(0, share)));
}

/**
 * How many rows, the first one in part, fill the window when the last one is at its lower edge. Room that is left above
 * the first row counts as rows of `rowHeightPx`: the next rows will take it.
 */
export function rowsFromEnd(
  { rowCount, viewportPx, rowHeightPx }: Omit<ScrollGeometry, 'rowsAtEnd'>,
  heightOf: (row: number) => number,
): number {
  let leftPx = viewportPx;
  let rows = 0;
  for (let row = rowCount - 1; row >= 0; row -= 1) {
    const height = heightOf(row);
    if (height >= leftPx) {
      return rows + leftPx / height;
    }
    leftPx -= height;
    rows += 1;
  }
  return rows + leftPx / rowHeightPx;
}
