// Takes the pictures of docs/how-to/site/live-page.md: node tests/look.mjs URL DIRECTORY [SECONDS]
// The run has storages (--set battery.count=3): the dark picture shows the card of one.
import { browserFor } from './browser.mjs';

const [url, directory, seconds = '20'] = process.argv.slice(2);
const shots = [
  { name: 'console-desktop', width: 1440, height: 1000, scheme: 'light', full: true },
  { name: 'console-dark', width: 1440, height: 1000, scheme: 'dark', full: false },
  { name: 'console-phone', width: 390, height: 844, scheme: 'light', full: false },
];
const browser = await browserFor();
try {
  const pages = [];
  for (const shot of shots) {
    const context = await browser.newContext({
      viewport: { width: shot.width, height: shot.height },
      colorScheme: shot.scheme,
      deviceScaleFactor: shot.width < 500 ? 2 : 1,
    });
    const page = await context.newPage();
    page.on('console', (message) => console.log(shot.name, message.type(), message.text()));
    page.on('pageerror', (error) => console.log(shot.name, 'error', error.message));
    await page.goto(url);
    pages.push([shot, page]);
  }
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  for (const [shot, page] of pages) {
    await page.bringToFront();
    if (shot.scheme === 'dark') {
      await page.fill('#find', 'battery-1');
      await page.locator('#found button').first().click();
      await page.fill('#find', '');
      await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    }
    await page.waitForTimeout(1500);
    await page.screenshot({ path: `${directory}/${shot.name}.png`, fullPage: shot.full });
    console.log(shot.name, await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth].join(' in ')));
  }
} finally {
  await browser.close();
}
