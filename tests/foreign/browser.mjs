// Chromium, driven by playwright-core. Usage: CHROMIUM URL CONDITION…; what it does with them is said in page.mjs. The
// page's own policy stays in force.

import { chromium } from "playwright-core";
import { watch } from "./page.mjs";

const [executablePath, url, ...conditions] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  // Certificates of tests are signed by nobody.
  await watch(await browser.newPage({ ignoreHTTPSErrors: true }), url, conditions);
} finally {
  await browser.close();
}
