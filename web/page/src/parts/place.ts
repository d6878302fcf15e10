// Where in the page somebody is, as the part of the address behind the `#`: a view, what it is about, and what was chosen
// there. It may be shared: the token is never part of it.

export interface Place {
  /** The view, what it shows, and a part of that: `["connection", "0-1a.3", "frames"]`. */
  path: string[];
  /** Filter, preset, selection. */
  chosen: Record<string, string>;
}

export function parse(hash: string): Place {
  const [path = "", query = ""] = split(hash.replace(/^#\/?/, ""), "?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { path: parts.length ? parts : ["connections"], chosen: Object.fromEntries(new URLSearchParams(query)) };
}

export function format({ path, chosen }: Place): string {
  const query = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value !== "")).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query && `?${query}`}`;
}

/** The token that the gateway printed behind the `#`, and the address without it. */
export function takeToken(hash: string): { token: string | undefined; rest: string } {
  const found = /^#token=([^&]*)&?/.exec(hash);
  if (!found) return { token: undefined, rest: hash };
  const rest = hash.slice(found[0].length);
  return { token: decoded(found[1] ?? "") || undefined, rest: rest && `#${rest.replace(/^#/, "")}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function split(text: string, at: string): [string, string] {
  const found = text.indexOf(at);
  return found < 0 ? [text, ""] : [text.slice(0, found), text.slice(found + 1)];
}
