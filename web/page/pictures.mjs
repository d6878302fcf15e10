// Takes the pictures of docs/pictures from a running gateway, with Chromium and the driver of tests/foreign: the gateway,
// its clients and what they say are started here. Usage: TIDEGATE, the path of the binary.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [binary] = process.argv.slice(2);
const here = import.meta.dirname;
const pictures = join(here, "../../docs/pictures");
const folder = mkdtempSync(join(tmpdir(), "tidegate-pictures-"));
const require = createRequire(join(here, "../../tests/foreign/package.json"));
const { chromium } = require("playwright-core");
const children = [];

function run(...words) {
  const child = spawn(binary, words, { cwd: folder, env: { ...process.env, XDG_RUNTIME_DIR: folder } });
  children.push(child);
  return child;
}

/** A server with quotes that change, and nothing about push in it. */
async function backend() {
  let price = 61_200;
  const server = createServer((request, response) => {
    price += Math.round(Math.sin(Date.now() / 900) * 40);
    const quote = { symbol: request.url.slice(8), price, currency: "EUR", venue: "demo" };
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(quote));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** Starts the gateway; gives the addresses that it prints. */
async function gateway(url) {
  const text = [
    `[[route]]\npath = "/quotes/{symbol}"\npoll = { url = "${url}/quotes/{symbol}", interval = "300ms" }`,
    '[[route]]\npath = "/weather"\npoll = { url = "http://127.0.0.1:9/weather" }',
    '[[route]]\npath = "/chat/{room}"\nchannel = {}\npublish = "anyone"\nhistory = { size = 100, ttl = "1h" }',
  ];
  writeFileSync(join(folder, "tidegate.toml"), text.join("\n"));
  const child = run("serve", "--config", "tidegate.toml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0");
  const found = {};
  for await (const line of createInterface({ input: child.stderr })) {
    found.public ??= /listens on http:\/\/(\S+)/.exec(line)?.[1];
    found.page = /inspect\s+(\S+)/.exec(line)?.[1];
    if (found.page) return found;
  }
  throw new Error("the gateway does not start");
}

function clients(address) {
  for (const symbol of ["BTC", "ETH", "SOL", "BTC", "BTC"]) run("connect", `ws://${address}/quotes/${symbol}`);
  run("connect", "--subprotocol", "tidegate.v1", `ws://${address}/weather`);
  const chat = run("connect", `ws://${address}/chat/7`);
  let said = 0;
  return setInterval(() => chat.stdin.write(`{"from":"ann","text":"message ${(said += 1)}"}\n`), 400);
}

async function refused(address) {
  const headers = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", Origin: "https://elsewhere.example" };
  const { get } = await import("node:http");
  await new Promise((resolve) => get(`http://${address}/chat/7`, { headers }, (answer) => answer.resume().on("end", resolve)));
}

const PICTURES = [
  ["connections", "#/connections?sort=sent", [], ".row:nth-child(6)"],
  ["frames", "", ["/", "op:text dir:out", "Enter", "j", "j"], ".detail .tree"],
  ["handshake", "#/handshakes?only=refused", ["j"], ".detail .checks"],
  ["figures", "#/figures", [], ".chart canvas"],
];

async function take(page) {
  for (const [name, hash, keys, awaited] of PICTURES) {
    if (hash) await page.evaluate((place) => (location.hash = place), hash);
    else await open(page);
    await page.waitForSelector("#page .view");
    await page.waitForTimeout(4000);
    for (const key of keys) await (key.length > 1 && key !== "Enter" ? page.keyboard.type(key) : page.keyboard.press(key));
    await page.waitForSelector(awaited);
    await page.screenshot({ path: join(pictures, `page-${name}.png`) });
  }
}

/** The connection of the chat, whose client speaks. */
async function open(page) {
  await page.evaluate(() => (location.hash = "#/connections?filter=path:/chat*"));
  await page.waitForTimeout(1500);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
}

const server = await backend();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  mkdirSync(pictures, { recursive: true });
  const addresses = await gateway(server.url);
  const speaking = clients(addresses.public);
  await refused(addresses.public);
  const page = await browser.newPage({ colorScheme: "light", viewport: { width: 1280, height: 760 } });
  await page.goto(addresses.page);
  await take(page);
  clearInterval(speaking);
} finally {
  await browser.close();
  children.forEach((child) => child.kill());
  server.server.close();
  rmSync(folder, { recursive: true });
}
