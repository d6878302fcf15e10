// Debian's browsers without a screen, as their drivers start them: Chromium by playwright-core, over a pipe with which it
// ends; Firefox by puppeteer-core, over WebDriver BiDi. Both end with whoever started the script (leash.mjs). Certificates
// of tests are signed by nobody, and are taken.

import { join } from "node:path";
import { leash } from "./leash.mjs";

async function chromium(executablePath) {
  const { chromium: driver } = await import("playwright-core");
  const browser = await driver.launch({ executablePath, args: ["--no-sandbox"] });
  return { browser, page: () => browser.newPage({ ignoreHTTPSErrors: true }) };
}

async function firefox(PROGRAM) {
  const { default: driver } = await import("puppeteer-core");
  // Firefox outlives a driver that is killed, unless it is told not to.
  const executablePath = join(import.meta.dirname, "ends_with_parent.sh");
  const env = { ...process.env, PROGRAM };
  const settings = { executablePath, env, headless: true, acceptInsecureCerts: true };
  const browser = await driver.launch({ browser: "firefox", ...settings });
  return { browser, page: () => browser.newPage() };
}

/** Gives `act` a page of the browser, and closes the browser behind it. */
export async function withPage(name, program, act) {
  const { browser, page } = await { chromium, firefox }[name](program);
  leash(browser);
  try {
    await act(await page());
  } finally {
    await browser.close();
  }
}
