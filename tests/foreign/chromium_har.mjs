// Chromium and recordings of WebSockets as HAR. Usage: CHROMIUM URL THEIRS OURS. A page talks to URL, and what Playwright records of
// it goes into THEIRS; then OURS is opened in Chromium's own developer tools, and its messages told as a line of JSON.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { leash } from "./leash.mjs";

const [executablePath, url, theirs, ours] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "har-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  args: ["--no-sandbox"],
  recordHar: { path: theirs, mode: "full", urlFilter: `${url}**` },
});
leash(context);

try {
  const page = await context.newPage();
  await page.evaluate(
    (url) =>
      new Promise((closed) => {
        const socket = new WebSocket(url, ["chat"]);
        socket.binaryType = "arraybuffer";
        socket.onopen = () => socket.send("hi ü");
        socket.onmessage = ({ data }) => data === "more" && socket.send(new Uint8Array([0, 255]));
        socket.onclose = closed;
      }),
    url,
  );
  const front = await context.newPage();
  await front.goto("devtools://devtools/bundled/devtools_app.html");
  const opened = await front.evaluate(async (text) => {
    const { HARFormat, Importer } = await import("./models/har/har.js");
    const requests = Importer.Importer.requestsFromHARLog(new HARFormat.HARRoot(JSON.parse(text)).log);
    return requests.map((request) => ({
      url: request.url(),
      status: request.statusCode,
      frames: request.frames().map(({ type, opCode, text }) => [type, opCode, text]),
    }));
  }, readFileSync(ours, "utf8"));
  console.log(JSON.stringify({ event: "opened", opened }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
