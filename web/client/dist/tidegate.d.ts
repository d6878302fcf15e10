import type { Connection, Options } from "./api.js";
export type * from "./api.js";
/** Follows the channel of a URL: `ws:`, `wss:`, `http:` or `https:`, or a path of the page's own origin. */
export declare function connect<T = unknown>(url: string | URL, options?: Options<T>): Connection;
