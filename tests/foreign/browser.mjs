// Chromium, driven by playwright-core over a pipe, with which it ends. Usage: CHROMIUM URL CONDITION…; what it does with them is said in page.mjs. The
// page's own policy stays in force.

import { chromium } from "playwright-core";
import { leash } from "./leash.mjs";
import { watch } from "./page.mjs";

const [executablePath, url, ...conditions] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
leash(browser);
try {
  // Certificates of tests are signed by nobody.
  await watch(await browser.newPage({ ignoreHTTPSErrors: true }), url, conditions);
} finally {
  await browser.close();
}
