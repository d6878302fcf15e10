// One page in a browser, whichever it is: opens URL and waits, for each condition in turn, until it holds for the data
// attributes of the root element: an object as JSON, in which a number is the least that the attribute must count and
// a text is what it must be. Tells each as a JSON line on stdout, and what the page complained of. The page comes from
// the driver of the browser; both drivers name these calls alike.

import { holds } from "./holds.mjs";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

export async function watch(page, url, conditions) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(url);
  tell("opened", { title: await page.title() });
  for (const condition of conditions) {
    tell("holds", { condition, seen: await page.evaluate(holds, JSON.parse(condition)) });
  }
  tell("complaints", { complaints });
}
