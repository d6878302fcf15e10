// The URL of a channel with what the gateway is to know, in front of the rest: of each name the first counts. The rest
// of the query may belong to the channel's name and stays as it stands, but for a position, which holds only once, and
// for a kind of updates, which whoever applies them has to know.

/** Parameters of the gateway. */
export interface Own {
  updates?: string | undefined;
  token?: string | undefined;
  after?: string | undefined;
  wait?: number;
}

/** The URL for http, without a fragment. */
export function address(url: URL, own: Own): string {
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  const pairs = given.map(([name, value]) => `${name}=${encodeURIComponent(value as string)}`);
  pairs.push(...url.search.slice(1).split("&").filter((pair) => pair && !/^(after|updates)(=|$)/.test(pair)));
  const query = pairs.length ? `?${pairs.join("&")}` : "";
  return url.origin.replace(/^ws/, "http") + url.pathname + query;
}
