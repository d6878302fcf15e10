// The page of the admin listener in a browser, step by step as stdin says: a JSON object a line, one of
//   {"go": HASH}                      shows a view
//   {"press": KEY}  {"type": TEXT}    the keyboard
//   {"click": SELECTOR}
//   {"wait": SELECTOR, "text": T, "count": N}   until at least N (1) elements are there that hold the text
//   {"read": SELECTOR}                tells their texts and `dir`
//   {"picture": FILE}
//   {"judge": true}                   tells what the page did that it must not, and ends
// Each is told on stdout when it is done. Usage: chromium|firefox PROGRAM URL.

import { createInterface } from "node:readline";
import { withPage } from "./launch.mjs";

const [name, program, url] = process.argv.slice(2);
const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

/** What a page may not do, seen from within: what its policy forbids. */
const listen = () => {
  window.forbidden = [];
  addEventListener("securitypolicyviolation", (event) => {
    window.forbidden.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
  });
};

const come = ({ selector, text, count }) =>
  new Promise((resolve) => {
    const look = () => {
      const found = [...document.querySelectorAll(selector)].filter((one) => one.textContent.includes(text));
      if (found.length >= count) resolve(found.length);
      else requestAnimationFrame(look);
    };
    look();
  });

const read = (selector) =>
  [...document.querySelectorAll(selector)].map((one) => ({ text: one.textContent, direction: getComputedStyle(one).direction }));

const judged = () => ({
  forbidden: window.forbidden,
  executed: window.executed ?? null,
  foreign: document.querySelectorAll("#page :is(script, iframe, object, embed, img, link, style)").length,
  address: location.href,
});

function watched(page, origin) {
  const seen = { elsewhere: [], complaints: [], dialogs: [] };
  page.on("request", (request) => {
    const asked = request.url();
    if (!asked.startsWith(`${origin}/`) && !asked.startsWith("blob:")) seen.elsewhere.push(asked);
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && seen.complaints.push(message.text()));
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  return seen;
}

async function step(page, order) {
  if ("go" in order) await page.evaluate((hash) => void (location.hash = hash), order.go);
  else if ("press" in order) await page.keyboard.press(order.press);
  else if ("type" in order) await page.keyboard.type(order.type);
  else if ("click" in order) await page.click(order.click);
  else if ("picture" in order) await page.screenshot({ path: order.picture });
  else if ("wait" in order) await page.evaluate(come, { selector: order.wait, text: order.text ?? "", count: order.count ?? 1 });
  else if ("read" in order) return { texts: await page.evaluate(read, order.read) };
  return {};
}

await withPage(name, program, async (page) => {
  const seen = watched(page, new URL(url).origin);
  await (page.addInitScript ?? page.evaluateOnNewDocument).call(page, listen);
  await page.goto(url);
  tell("opened", { title: await page.title() });
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    if (order.judge) return tell("judged", { ...seen, ...(await page.evaluate(judged)) });
    tell("done", { order, ...(await step(page, order)) });
  }
});
