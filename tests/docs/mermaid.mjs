// Has Mermaid's own parser judge diagrams: node mermaid.mjs FOLDER_WITH_MERMAID, a JSON list of diagrams on standard input
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

const [folder] = process.argv.slice(2);
const require = createRequire(`${resolve(folder)}/`);
const { JSDOM } = require('jsdom');
const { window } = new JSDOM('');
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import(pathToFileURL(require.resolve('mermaid')).href);
let wrong = 0;
for (const [place, diagram] of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    const { diagramType } = await mermaid.parse(diagram);
    console.log(`${place}: ${diagramType}`);
  } catch (error) {
    wrong += 1;
    console.error(`${place}: ${error.message}`);
  }
}
process.exit(wrong ? 1 : 0);
