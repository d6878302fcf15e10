// The module: one function. How it is used is in README.md.

import type { Connection, Options } from "./api.js";
import { Following } from "./connection.js";

export type * from "./api.js";

/** Follows the channel of a URL: `ws:`, `wss:`, `http:` or `https:`, or a path of the page's own origin. */
export function connect<T = unknown>(url: string | URL, options: Options<T> = {}): Connection {
  return new Following(url, options as Options);
}
