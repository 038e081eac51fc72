// Prints the seconds from the address of a page until an expression is true there: node until.mjs URL EXPRESSION
import { browserFor } from './browser.mjs';

const [url, expression] = process.argv.slice(2);
const browser = await browserFor();
const page = await browser.newPage();
page.on('pageerror', (error) => console.error(String(error)));
const began = performance.now();
await page.goto(url, { waitUntil: 'commit' });
while (!(await page.evaluate(expression).catch(() => false))) {
  if (performance.now() - began > 50_000) throw new Error(`${expression} is not true within 50 s`);
  await new Promise((resolve) => setTimeout(resolve, 20));
}
console.log((performance.now() - began) / 1000);
await browser.close();
