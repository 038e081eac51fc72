// The size of the page's text, for what is drawn on a canvas and would not follow it by itself.

const SMALL_REM = 0.6875;

/** Pixels of one rem. */
export function rem(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}

/** The font of labels on a canvas; `scale` are canvas pixels for each pixel of the page. */
export function labelFont(scale = 1, weight = ''): string {
  return `${weight} ${SMALL_REM * rem() * scale}px system-ui, sans-serif`.trim();
}
