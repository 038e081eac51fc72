// Counts the page's frames: node tests/frames.mjs URL [SECONDS] → one JSON line.
import { browserFor } from './browser.mjs';

const [url, seconds = '8'] = process.argv.slice(2);
const browser = await browserFor();
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector('#live')?.dataset.state === 'live', null, { timeout: 30_000 });
  await page.waitForTimeout(6_000);
  const result = await page.evaluate(
    (ms) =>
      new Promise((resolve) => {
        const times = [];
        const begin = performance.now();
        const count = (now) => {
          times.push(now);
          if (performance.now() - begin < ms) requestAnimationFrame(count);
          else {
            const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
            resolve({
              frames: gaps.length,
              frames_per_s: +((1000 * gaps.length) / (times.at(-1) - times[0])).toFixed(1),
              slowest_frame_ms: Math.round(gaps.at(-1)),
              p95_frame_ms: +gaps[Math.floor(gaps.length * 0.95)].toFixed(1),
            });
          }
        };
        requestAnimationFrame(count);
      }),
    Number(seconds) * 1000,
  );
  const pictures = await page.evaluate(async () => {
    const map = document.querySelector('#map canvas.devices'); // part of it, several times: it must change
    const seen = new Set();
    for (let look = 0; look < 4; look++) {
      const strip = map.getContext('2d').getImageData(0, Math.round(map.height / 3), map.width, 60).data;
      seen.add(strip.reduce((sum, each, at) => (sum * 31 + each * (at % 97)) % 4294967291, 7));
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return seen.size;
  });
  const devices = await page.locator('#now-devices').textContent();
  console.log(JSON.stringify({ ...result, pictures, devices }));
} finally {
  await browser.close();
}
