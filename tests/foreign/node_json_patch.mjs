// Applies JSON Patches by `fast-json-patch` and merge patches by `json-merge-patch`. Usage: FILE. Each of its lines
// is an object: before, after, patch, merge, all JSON texts; the last two may be missing. Tells how many it applied.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";

import jsonpatch from "fast-json-patch";
import mergepatch from "json-merge-patch";

const count = { patches: 0, merges: 0 };
const check = (line, name, document, after) => {
  if (!isDeepStrictEqual(document, JSON.parse(after))) throw new Error(`${name} of ${line}`);
  count[name] += 1;
};
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const { before, after, patch, merge } = JSON.parse(line);
  if (patch !== undefined) {
    // With validation of each operation.
    const applied = jsonpatch.applyPatch(JSON.parse(before), JSON.parse(patch), true);
    check(line, "patches", applied.newDocument, after);
  }
  if (merge !== undefined) {
    check(line, "merges", mergepatch.apply(JSON.parse(before), JSON.parse(merge)), after);
  }
}
console.log(JSON.stringify({ event: "applied", ...count }));
