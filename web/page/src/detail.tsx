// One event opened: of a frame its header bit by bit, what its key and length say, what is broken, and the payload; of
// others what they hold.

import { useEffect, useState } from "preact/hooks";
import { feed } from "./gateway.js";
import { Headers } from "./headers.js";
import { bytesOfHex, type Field, fields } from "./parts/bits.js";
import { bytesOf } from "./parts/bytes.js";
import { nameOf } from "./parts/codes.js";
import { shown as payloadOf } from "./parts/filter.js";
import type { Event, Payload } from "./parts/messages.js";
import { bytes, clock, count, micros } from "./parts/units.js";
import { PayloadView } from "./payload.js";
import { Inert, Note } from "./text.js";

export function Detail({ event, close }: { event: Event; close(): void }) {
  return (
    <aside class="detail" aria-label="The event that is selected">
      <header>
        <h2>
          {event.dir && <span class={event.dir}>{event.dir === "c2s" ? "↑" : "↓"}</span>} {event.op ?? event.type}
          {event.n !== undefined && <small>#{count(event.n)}</small>}
        </h2>
        <p>
          <time title={event.ts}>{clock(new Date(event.ts))}</time>
          {event.us !== undefined && <span title="since the frame before it">+{micros(event.us)}</span>}
        </p>
        <button type="button" class="quiet" aria-label="Close (Esc)" title="Esc" onClick={close}>
          ✕
        </button>
      </header>
      {event.violations?.map((violation) => (
        <Note kind="error">
          {violation.text} <small>{violation.section}{violation.code ? `, answered with ${violation.code}` : ""}{violation.at === undefined ? "" : `, at byte ${violation.at}`}</small>
        </Note>
      ))}
      {event.hdr && <Header event={event} />}
      {event.type === "handshake" && <Headers line={event.start ?? `status ${event.status}`} headers={event.headers ?? []} />}
      <Body event={event} />
    </aside>
  );
}

function Header({ event }: { event: Event }) {
  const hex = event.hdr ?? "";
  const all = fields(hex);
  const bits = bytesOfHex(hex).flatMap((byte) => [...byte.toString(2).padStart(8, "0")]);
  const of = (at: number) => all.find((field) => field.from <= at && at < field.to);
  return (
    <section>
      <h3>
        Header <small>{bytes(bits.length / 8)}, RFC 6455, section 5.2</small>
      </h3>
      <div class="bits" role="img" aria-label={`bits of the header: ${hex}`}>
        {bits.map((bit, at) => {
          const field = of(at);
          const edge = field?.from === at ? " edge" : "";
          return (
            <span key={at} class={`${field?.group ?? ""}${edge}`} title={field && `${field.name}: ${field.value}`}>
              {bit}
            </span>
          );
        })}
      </div>
      <dl class="fields">
        {all.map((field) => (
          <div key={field.name} class={field.group}>
            <dt>{field.name}</dt>
            <dd>
              <code>{field.value}</code> {meaning(field, event)}
            </dd>
          </div>
        ))}
        {event.inflated !== undefined && (
          <div>
            <dt>compression</dt>
            <dd>
              <code>{bytes(event.len)}</code> on the wire, {bytes(event.inflated)} inflated
            </dd>
          </div>
        )}
        {event.msg !== undefined && (
          <div>
            <dt>message</dt>
            <dd>
              <code>{event.msg}</code> fragment {event.frag ?? 0}
            </dd>
          </div>
        )}
        {event.rtt_us !== undefined && (
          <div>
            <dt>round trip</dt>
            <dd>
              <code>{micros(event.rtt_us)}</code> after the ping that it answers
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

function meaning(field: Field, event: Event): string {
  return field.name === "RSV1" && field.value === "1" && !event.plain ? "set: compressed, or no extension was agreed on" : field.meaning;
}

/** The payload, and the rest of it on demand. */
function Body({ event }: { event: Event }) {
  const [whole, setWhole] = useState<Payload>();
  const [refused, setRefused] = useState<string>();
  useEffect(() => {
    setWhole(undefined);
    setRefused(undefined);
  }, [event]);
  const own = payloadOf(event);
  const payload = whole ?? own;
  const load = async () => {
    const told = await feed.ask({ type: "body", connection: event.conn, event: event.n });
    if (told.type === "body") setWhole({ enc: told["encoding"] as Payload["enc"], data: told["data"] as string });
    else setRefused(told.message ?? "it is not to be had");
  };
  if (event.op === "close") return <Closing event={event} payload={payload} />;
  if (!payload) {
    if (event.type === "handshake") return null;
    if (event.type === "frame") return event.len ? <Note>Payloads are not kept at this level of watching.</Note> : null;
    return <PayloadView payload={{ enc: "utf8", data: JSON.stringify(event) }} name="event" />;
  }
  return (
    <>
      <PayloadView payload={payload} name={`event-${event.n ?? ""}`} />
      {own?.truncated && !whole && (
        <p class="more">
          <Inert text={`${bytes(bytesOf(own).length)} of ${bytes(event.inflated ?? event.len)} are here.`} />{" "}
          <button type="button" onClick={load}>
            Load all of it
          </button>
        </p>
      )}
      {refused && <Note kind="warning">{refused}</Note>}
    </>
  );
}

function Closing({ event, payload }: { event: Event; payload: Payload | undefined }) {
  const reason = payload ? new TextDecoder().decode(bytesOf(payload).subarray(2)) : "";
  return (
    <section>
      <h3>Close</h3>
      <p>
        {event.code === undefined ? (
          "No code: the other side hears 1005."
        ) : (
          <>
            <b>{event.code}</b> {nameOf(event.code)}
          </>
        )}
      </p>
      {reason && (
        <p>
          Reason: <Inert text={reason} />
        </p>
      )}
    </section>
  );
}
