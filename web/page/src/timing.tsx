// How long the parts of a handshake took, one below the other on one scale.

import type { Handshake, Row } from "./parts/messages.js";
import { clock, micros, span } from "./parts/units.js";
import { Empty } from "./text.js";

const STEPS: [string, string, string][] = [
  ["tcp_us", "TCP", "until the socket was accepted"],
  ["tls_us", "TLS", "its handshake"],
  ["head_us", "Head", "until the request's head had come whole"],
  ["auth_us", "Credentials", "reading and judging them"],
  ["backend_us", "Backend", "asking the server behind the gateway"],
];

export function Timing({ row, handshake }: { row: Row; handshake: Handshake | null }) {
  const timing = handshake?.timing;
  const known = STEPS.flatMap(([key, name, hint]) => {
    const value = timing?.[key];
    return typeof value === "number" ? [{ key, name, hint, value }] : [];
  });
  const sum = known.reduce((total, { value }) => total + value, 0);
  const total = Math.max(1, timing?.["total_us"] ?? sum);
  let begun = 0;
  return (
    <div class="timing">
      <h2>Handshake</h2>
      {timing ? (
        <div class="bars">
          {known.map(({ key, name, hint, value }) => {
            const left = (begun / Math.max(total, sum)) * 100;
            begun += value;
            return (
              <div key={key} title={hint}>
                <span>{name}</span>
                <span class="track">
                  <i style={{ left: `${left}%`, width: `${Math.max(0.5, (value / Math.max(total, sum)) * 100)}%` }} />
                </span>
                <b>{micros(value)}</b>
              </div>
            );
          })}
          <div class="sum">
            <span>Until the answer</span>
            <span class="track" />
            <b>{micros(timing["total_us"] ?? sum)}</b>
          </div>
        </div>
      ) : (
        <Empty>The gateway does not keep the handshake of this connection any more.</Empty>
      )}
      <h2>Since then</h2>
      <dl class="pairs">
        <div>
          <dt>Opened</dt>
          <dd>{clock(new Date(row.opened_ms))}</dd>
        </div>
        <div>
          <dt>{row.close ? "Lived" : "Open for"}</dt>
          <dd>{span((row.close?.at ?? Date.now()) - row.opened_ms)}</dd>
        </div>
        <div title="From the last ping to its pong">
          <dt>Round trip</dt>
          <dd>{span(row.rtt_ms)}</dd>
        </div>
        <div title="Since the last byte went either way">
          <dt>Idle</dt>
          <dd>{span(row.idle_ms)}</dd>
        </div>
      </dl>
    </div>
  );
}
