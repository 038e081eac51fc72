// Runs commands in a browser: reads a JSON line for each from standard input, and writes one with the result.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { browserFor } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await browserFor();
let page = null;
const requested = [];
const faults = [];

const commands = {
  /** Open a page: in a new window, beside the others with `keep`, or with `tab` as another tab of the same browser. */
  async open({ url, width = 1440, height = 1000, scheme = 'light', keep = false, tab = false }) {
    if (page && !keep && !tab) await page.context().close();
    const context = tab ? page.context() : await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('request', (request) => requested.push(request.url()));
    page.on('websocket', (socket) => requested.push(socket.url()));
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      // The browser logs a lost connection too; every other error is a fault.
      if (message.type() === 'error' && !/WebSocket|ERR_CONNECTION/.test(message.text())) faults.push(message.text());
    });
    await page.goto(url);
  },
  reload: async () => void (await page.reload()),
  click: ({ selector }) => page.click(selector),
  fill: async ({ selector, value }) => {
    await page.fill(selector, value);
    await page.press(selector, 'Tab');
  },
  type: ({ selector, value }) => page.fill(selector, value), // and stay in the field
  select: ({ selector, value }) => page.selectOption(selector, value),
  press: ({ selector, key }) => page.press(selector, key),
  text: ({ selector }) => page.textContent(selector),
  eval: ({ code }) => page.evaluate(code),
  wait: async ({ code, seconds = 20 }) => {
    // The page's policy forbids the eval of waitForFunction, but not page.evaluate.
    const end = Date.now() + seconds * 1000;
    while (!(await page.evaluate(code))) {
      if (Date.now() > end) throw new Error(`not true within ${seconds} s`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },
  heap: async () => {
    const session = await page.context().newCDPSession(page);
    try {
      return (await session.send('Runtime.getHeapUsage')).usedSize;
    } finally {
      await session.detach();
    }
  },
  /** Move the pointer to a share of an element's width and height. */
  point: async ({ selector, x, y }) => {
    const found = page.locator(selector).first();
    await found.scrollIntoViewIfNeeded();
    const box = await found.boundingBox();
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
  },
  drag: async ({ selector, begin, end }) => {
    await commands.point({ selector, x: begin, y: 0.5 });
    await page.mouse.down();
    await commands.point({ selector, x: (begin + end) / 2, y: 0.5 });
    await commands.point({ selector, x: end, y: 0.5 });
    await page.mouse.up();
  },
  size: async ({ width, height, text = 1 }) => {
    await page.setViewportSize({ width, height });
    await page.evaluate((percent) => { document.documentElement.style.fontSize = `${percent}%`; }, 100 * text);
  },
  requested: () => requested,
  faults: () => faults,
  axe: async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('Page.setBypassCSP', { enabled: true }); // only for the script of axe
    await session.send('Runtime.evaluate', { expression: axe });
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    return found.violations.map(({ id, impact, nodes }) => ({
      id,
      impact,
      where: nodes.slice(0, 5).map((node) => `${node.target.join(' ')}: ${node.failureSummary}`),
    }));
  },
  shot: async ({ path }) => {
    await page.screenshot({ path });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await commands[command](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
