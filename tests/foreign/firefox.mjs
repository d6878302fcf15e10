// Firefox, driven by puppeteer-core over WebDriver BiDi. Usage: FIREFOX URL CONDITION…; what it does with them is said
// in page.mjs. The page's own policy stays in force.

import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { leash } from "./leash.mjs";
import { watch } from "./page.mjs";

const [PROGRAM, url, ...conditions] = process.argv.slice(2);
// Firefox outlives a driver that is killed, unless it is told not to.
const executablePath = join(import.meta.dirname, "ends_with_parent.sh");
const env = { ...process.env, PROGRAM };
// Certificates of tests are signed by nobody.
const acceptInsecureCerts = true;
const browser = await puppeteer.launch({ browser: "firefox", executablePath, env, headless: true, acceptInsecureCerts });
leash(browser);
try {
  await watch(await browser.newPage(), url, conditions);
} finally {
  await browser.close();
}
