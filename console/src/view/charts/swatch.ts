// The mark of a line in a legend, drawn exactly as the line is: colour, width, dashes or dots.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 26;
const HEIGHT = 10;

export function swatch(colour: string, dash: readonly number[], isDots: boolean): SVGElement {
  const picture = document.createElementNS(SVG, 'svg');
  picture.setAttribute('width', String(WIDTH));
  picture.setAttribute('height', String(HEIGHT));
  picture.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(SVG, isDots ? 'circle' : 'line');
  const attributes = isDots
    ? { cx: WIDTH / 2, cy: HEIGHT / 2, r: 2.5, fill: colour }
    : { x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2, stroke: colour, 'stroke-width': 1.75, 'stroke-dasharray': dash.join(' ') };
  for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, String(value));
  picture.append(shape);
  return picture;
}
