// Makes what the gateway holds, or what the tests read. Usage: dist | test | verify. `verify` makes everything anew in
// a temporary folder, holds it against the committed files in dist/ byte by byte, and their sizes against a limit.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** What all files of the page may weigh, gzipped. */
const MOST_BYTES = 80 * 1024;
const LOADED = ["page.js", "page.css", "icon.svg"];

const here = import.meta.dirname;
const settings = { root: here, logLevel: "warn" };

/** FNV-1a, 64 bits, as the gateway has it. */
function hash(bytes) {
  let value = 0xcbf29ce484222325n;
  for (const byte of bytes) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  return value.toString(16).padStart(16, "0");
}

/** Fills a folder with what is shipped. The page names its files with their hash, and they lie there without. */
async function ship(folder) {
  await build({ ...settings, build: { outDir: folder, emptyOutDir: true } });
  const path = join(folder, "index.html");
  // Its own origin needs no leave.
  let page = readFileSync(path, "utf8").replaceAll(" crossorigin", "");
  for (const name of LOADED) {
    const [stem, ending] = name.split(".");
    page = page.replaceAll(`"/${name}"`, `"/page/${stem}.${hash(readFileSync(join(folder, name)))}.${ending}"`);
  }
  writeFileSync(path, page);
}

/** What is wrong with the committed files. */
async function faults() {
  const made = mkdtempSync(join(tmpdir(), "tidegate-page-"));
  await ship(made);
  const committed = join(here, "dist");
  const names = [...new Set([...readdirSync(made), ...readdirSync(committed)])].sort();
  const bytes = (folder, name) => {
    try {
      return readFileSync(join(folder, name));
    } catch {
      return Buffer.alloc(0);
    }
  };
  const found = names
    .filter((name) => !bytes(made, name).equals(bytes(committed, name)))
    .map((name) => `dist/${name} is not what \`npm run build\` makes`);
  const weight = names.reduce((sum, name) => sum + gzipSync(bytes(made, name), { level: 9 }).length, 0);
  console.log(`dist/: ${weight} bytes gzipped`);
  if (weight > MOST_BYTES) found.push(`the page has ${weight} bytes gzipped, more than ${MOST_BYTES}`);
  rmSync(made, { recursive: true });
  return found;
}

/** The parts without a page around them, as modules that Node reads. */
async function parts() {
  const names = readdirSync(join(here, "src/parts"));
  const input = Object.fromEntries(names.map((name) => [name.replace(/\.ts$/, ""), join(here, "src/parts", name)]));
  const output = { entryFileNames: "[name].js", chunkFileNames: "shared/[name].js", preserveModules: false };
  const outDir = join(here, "build");
  const rollupOptions = { input, output, preserveEntrySignatures: "strict" };
  await build({
    ...settings,
    configFile: false,
    publicDir: false,
    build: { outDir, emptyOutDir: true, ssr: true, minify: false, rollupOptions },
  });
}

const [what] = process.argv.slice(2);
if (what === "dist") {
  await ship(join(here, "dist"));
} else if (what === "test") {
  await parts();
} else if (what === "verify") {
  const found = await faults();
  found.forEach((fault) => console.error(fault));
  process.exitCode = found.length ? 1 : 0;
} else {
  console.error("usage: node make.mjs dist | test | verify");
  process.exitCode = 2;
}
