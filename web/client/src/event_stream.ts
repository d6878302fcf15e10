// Server-sent events, read with `fetch`: an EventSource would come back by its own rules, and tells no status. Payloads
// are bare here, so that what reads as JSON is taken for it, and binary ones are their base64.

import { BROKEN, type End } from "./backoff.js";
import { get, overHttp, refusal, type Envelope, type Link, type Task } from "./transport.js";

const OWN = "tidegate-";
/** A gateway says something every 25 s. Silence means that the connection is dead, or a proxy keeps what comes. */
const SILENCE_MS = 75_000;

export function eventStream(task: Task): Link {
  return overHttp(task, async (exchange) => {
    const answer = await get(task, exchange, "text/event-stream", { after: task.after });
    if (!answer.ok || !answer.headers.get("content-type")?.startsWith("text/event-stream")) return refusal(answer);
    const end: End = { code: BROKEN, reason: "the stream ended" };
    const decoder = new TextDecoder();
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    for (;;) {
      exchange.within(SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return end;
      // A line end may be cut in two, so that only whole events are looked at.
      const events = (text + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      text = events.pop() as string;
      for (const event of events) {
        const { retry, data, ...rest } = fields(event);
        if (retry) end.hint = Number(retry);
        if (data !== undefined) task.deliver(envelope(data, rest));
      }
    }
  });
}

function fields(event: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of event.split(/\r?\n/)) {
    const [, name, value] = /^(\w+): ?([^]*)/.exec(line) ?? [];
    if (name === "data" && found.data !== undefined) found.data += `\n${value}`;
    else if (name) found[name] = value as string;
  }
  return found;
}

function envelope(data: string, { event, id }: Record<string, string>): Envelope {
  if (event === `${OWN}patch`) return { type: "patch", position: id as string, patch: JSON.parse(data) };
  if (event?.startsWith(OWN)) return JSON.parse(data);
  const message: Envelope = { type: "message", position: id as string };
  if (event) message.event = event;
  try {
    message.data = JSON.parse(data);
  } catch {
    message.text = data;
  }
  return message;
}
