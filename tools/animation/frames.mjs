// Plays a replay and takes pictures of it at equal intervals: node frames.mjs URL DIRECTORY COUNT INTERVAL_MS
// make page has installed what it needs.
import { browserFor } from '../../console/tests/browser.mjs';

const [url, directory, count, interval] = process.argv.slice(2);
const browser = await browserFor();
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 960 }, colorScheme: 'light' });
  await page.goto(url);
  await page.waitForTimeout(3000);
  await page.click('#key-dismiss');
  await page.getByRole('button', { name: 'Play' }).click();
  for (let frame = 0; frame < Number(count); frame += 1) {
    const begin = Date.now();
    await page.screenshot({ path: `${directory}/${String(frame).padStart(3, '0')}.png` });
    await page.waitForTimeout(Math.max(0, Number(interval) - (Date.now() - begin)));
  }
} finally {
  await browser.close();
}
