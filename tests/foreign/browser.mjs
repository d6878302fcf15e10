// Chromium, driven by playwright-core. Usage: CHROMIUM URL CONDITION…: opens the page and waits, for each condition in
// turn, until it holds for the data attributes of its root element: an object as JSON, in which a number is the least
// that the attribute must count and a text is what it must be. Tells each as a JSON line on stdout, and what the page
// complained of. The page's own policy stays in force.

import { chromium } from "playwright-core";
import { holds } from "./holds.mjs";

const [executablePath, url, ...conditions] = process.argv.slice(2);
const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  // Certificates of tests are signed by nobody.
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(url);
  tell("opened", { title: await page.title() });
  for (const condition of conditions) {
    tell("holds", { condition, seen: await page.evaluate(holds, JSON.parse(condition)) });
  }
  tell("complaints", { complaints });
} finally {
  await browser.close();
}
