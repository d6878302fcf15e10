// Measures the page in Chromium with 5,000 events a second coming in, made up by pretend_gateway.mjs: frames of the screen
// a second, memory of the page's process, events that arrived. Ends with 1 if it is below what it must be. The driver is
// the one of tests/foreign. Usage: [SECONDS [RATE]].

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const SECONDS = Number(process.argv[2] ?? 60);
const RATE = Number(process.argv[3] ?? 5000);
const LEAST_FRAMES = 30;
const MOST_MIB = 300;

const require = createRequire(join(import.meta.dirname, "../../../tests/foreign/package.json"));
const { chromium } = require("playwright-core");

/** Resident memory of a process, in MiB. */
function resident(id) {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1];
  return Number(kib ?? 0) / 1024;
}

const pretended = spawn(process.execPath, [join(import.meta.dirname, "pretend_gateway.mjs"), String(RATE)]);
const [line] = await createInterface({ input: pretended.stdout })[Symbol.asyncIterator]().next().then(({ value }) => [value]);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(JSON.parse(line).url);
  await page.evaluate(() => (location.hash = "#/connection/0-1.1/frames"));
  await page.waitForSelector(".events .row");
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const renderers = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  let most = 0;
  const look = setInterval(() => (most = Math.max(most, ...renderers.map(resident))), 500);
  const frames = await page.evaluate(
    (milliseconds) =>
      new Promise((resolve) => {
        const begun = performance.now();
        const times = [];
        const step = (now) => {
          times.push(now);
          if (now - begun < milliseconds) requestAnimationFrame(step);
          else resolve(times);
        };
        requestAnimationFrame(step);
      }),
    SECONDS * 1000,
  );
  clearInterval(look);
  const gaps = frames.slice(1).map((at, index) => at - frames[index]).sort((a, b) => a - b);
  const perSecond = ((frames.length - 1) * 1000) / (frames.at(-1) - frames[0]);
  const told = await page.textContent(".events .foot");
  const rows = await page.locator(".events .row").count();
  const result = {
    seconds: SECONDS,
    rate: RATE,
    frames_per_second: Number(perSecond.toFixed(1)),
    gap_p50_ms: Math.round(gaps[Math.floor(gaps.length / 2)]),
    gap_p99_ms: Math.round(gaps[Math.floor(gaps.length * 0.99)]),
    gap_most_ms: Math.round(gaps.at(-1)),
    memory_mib: Math.round(most),
    rows_drawn: rows,
    told: told.replace(/\u2009/g, ""),
  };
  console.log(JSON.stringify(result));
  process.exitCode = perSecond >= LEAST_FRAMES && most < MOST_MIB && rows > 0 ? 0 : 1;
} finally {
  await browser.close();
  pretended.kill();
}
