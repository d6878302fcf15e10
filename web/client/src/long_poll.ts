// Long polls in a row. The first does not wait, so that it is soon known where things stand; each further one asks from
// the place that the last answer gave.

import { before } from "./position.js";
import { get, overHttp, refusal, type Envelope, type Link, type Task } from "./transport.js";

/** Below the 30 s after which proxies lose patience. */
const WAIT_S = 25;
/** An answer that is as late will not come any more. */
const LATE_MS = 30_000;

interface Answer {
  position: string;
  recovered: boolean;
  publications: Envelope[];
  /** Why the server behind the channel fails. */
  error?: object;
}

export function longPoll(task: Task): Link {
  return overHttp(task, async (exchange) => {
    let { after } = task;
    let longest = WAIT_S;
    let failing = false;
    for (let wait = 0; ; wait = longest) {
      exchange.within(wait * 1000 + LATE_MS);
      const response = await get(task, exchange, "application/json", { after, wait });
      const standing = response.headers.get("tidegate-position");
      if (response.status === 400 && wait > 1) {
        // The gateway may be set to wait less long.
        longest >>= 1;
      } else if (!response.ok || !standing) {
        return refusal(response);
      } else {
        const nothing: Answer = { position: standing, recovered: true, publications: [] };
        const answer: Answer = response.status === 204 ? nothing : await response.json();
        const { position, error } = answer;
        after = position;
        envelopes(answer, wait === 0 || (failing && !error)).forEach(task.deliver);
        if (error && !failing) task.deliver({ type: "error", ...error });
        failing = !!error;
      }
    }
  });
}

/** What an answer says, with an `open` in front where it begins something. */
function envelopes({ position, recovered, publications }: Answer, first: boolean): Envelope[] {
  const start = publications[0]?.position;
  const open = { type: "open", position: start ? before(start) : position, recovered };
  const rest = publications.map((one) => ({ ...one, type: "patch" in one ? "patch" : "message" }));
  return first || !recovered ? [open, ...rest] : rest;
}
