// Does in a browser what it is told on standard input, one JSON line each, and answers each with one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { browserFor } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await browserFor();
let page = null;
const asked = [];
const faults = [];

const verbs = {
  async open({ url, width = 1440, height = 1000, scheme = 'light', keep = false }) {
    if (page && !keep) await page.context().close();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('request', (request) => asked.push(request.url()));
    page.on('websocket', (socket) => asked.push(socket.url()));
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      // A lost broker is told by the browser as well; everything else is a fault.
      if (message.type() === 'error' && !/WebSocket|ERR_CONNECTION/.test(message.text())) faults.push(message.text());
    });
    await page.goto(url);
  },
  click: ({ selector }) => page.click(selector),
  fill: async ({ selector, value }) => {
    await page.fill(selector, value);
    await page.press(selector, 'Tab');
  },
  select: ({ selector, value }) => page.selectOption(selector, value),
  press: ({ selector, key }) => page.press(selector, key),
  text: ({ selector }) => page.textContent(selector),
  eval: ({ code }) => page.evaluate(code),
  wait: async ({ code, seconds = 20 }) => {
    // The page's policy forbids waitForFunction's eval; what the driver asks from outside is not subject to it.
    const end = Date.now() + seconds * 1000;
    while (!(await page.evaluate(code))) {
      if (Date.now() > end) throw new Error(`waited ${seconds} s in vain`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },
  asked: () => asked,
  faults: () => faults,
  axe: async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('Page.setBypassCSP', { enabled: true }); // for the examiner's own script only
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
  const { verb, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await verbs[verb](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
