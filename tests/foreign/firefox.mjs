// Firefox, driven by puppeteer-core over WebDriver BiDi. Usage: FIREFOX URL CONDITION…; what it does with them is said
// in page.mjs. The page's own policy stays in force.

import puppeteer from "puppeteer-core";
import { watch } from "./page.mjs";

const [executablePath, url, ...conditions] = process.argv.slice(2);
// Certificates of tests are signed by nobody.
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, acceptInsecureCerts: true });
try {
  await watch(await browser.newPage(), url, conditions);
} finally {
  await browser.close();
}
