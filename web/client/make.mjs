// Makes what is shipped, or what the tests read. Usage: dist | test | verify. `verify` makes everything anew in a
// temporary folder, holds it against the committed files in dist/, and the size of the module against its limit.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What the module may weigh on the wire. */
const MOST_BYTES = 4096;
const SHIPPED = ["tidegate.js", "tidegate.d.ts", "api.d.ts"];

const here = import.meta.dirname;
const inFolder = (folder, name) => join(here, folder, name);
const settings = { format: "esm", target: "es2022", charset: "utf8", absWorkingDir: here };

/** Fills a folder with what is shipped. */
async function ship(folder) {
  const banner = { js: "/*! tidegate-client: MIT OR Apache-2.0 */" };
  const outfile = join(folder, "tidegate.js");
  await build({ ...settings, entryPoints: ["src/tidegate.ts"], bundle: true, minify: true, outfile, banner });
  const types = mkdtempSync(join(tmpdir(), "tidegate-types-"));
  const compiler = inFolder("node_modules/.bin", "tsc");
  const declarations = ["--declaration", "--emitDeclarationOnly", "--outDir", types];
  execFileSync(compiler, declarations, { cwd: here, stdio: "inherit" });
  for (const name of SHIPPED.slice(1)) copyFileSync(join(types, name), join(folder, name));
  rmSync(types, { recursive: true });
}

/** What is wrong with the committed files. */
async function faults() {
  const made = mkdtempSync(join(tmpdir(), "tidegate-dist-"));
  await ship(made);
  const text = (folder, name) => readFileSync(join(folder, name), "utf8");
  const differs = (name) => text(made, name) !== text(join(here, "dist"), name);
  const found = SHIPPED.filter(differs).map((name) => `dist/${name} is not what \`npm run build\` makes`);
  const bytes = gzipSync(text(made, "tidegate.js"), { level: 9 }).length;
  console.log(`dist/tidegate.js: ${text(made, "tidegate.js").length} bytes, ${bytes} of them gzipped`);
  if (bytes >= MOST_BYTES) found.push(`the module has ${bytes} bytes gzipped, not below ${MOST_BYTES}`);
  rmSync(made, { recursive: true });
  return found;
}

const [what] = process.argv.slice(2);
if (what === "dist") {
  await ship(inFolder("dist", ""));
} else if (what === "test") {
  await build({ ...settings, entryPoints: ["src/*.ts"], bundle: true, splitting: true, outdir: "build" });
} else if (what === "verify") {
  const found = await faults();
  found.forEach((fault) => console.error(fault));
  process.exitCode = found.length ? 1 : 0;
} else {
  console.error("usage: node make.mjs dist | test | verify");
  process.exitCode = 2;
}
