// A handshake side by side: what was asked, what was answered, and what RFC 6455 asks of both, met or broken, with what
// mends it.

import { Headers } from "./headers.js";
import type { Check, Handshake } from "./parts/messages.js";
import { Inert, Note } from "./text.js";

const MARKS = { met: ["✓", "met"], broken: ["✗", "broken"], noted: ["·", "worth knowing"] } as const;

export function HandshakeView({ handshake }: { handshake: Handshake }) {
  const { request, response, checks, refused } = handshake;
  const of = (part: Check["part"]) => checks.filter((check) => check.part === part);
  return (
    <div class="handshake">
      {refused && <Refusal refused={refused} />}
      <div class="sides">
        <section>
          <h2>Request</h2>
          <Headers line={request.line} headers={request.headers} />
          <Checks checks={of("request")} />
        </section>
        <section>
          <h2>Answer</h2>
          <Headers line={response.line} headers={response.headers} />
          <Checks checks={of("answer")} />
        </section>
      </div>
      {handshake.as_written === false && <p class="aside">Names and order of the headers are those of the HTTP library, not of the wire.</p>}
    </div>
  );
}

export function Refusal({ refused }: { refused: NonNullable<Handshake["refused"]> }) {
  return (
    <Note kind="error">
      Refused with <b>{refused.status}</b>: <Inert text={refused.reason} most={2000} />
      {refused.setting && (
        <span class="also">
          The setting is <code>{refused.setting}</code>
        </span>
      )}
    </Note>
  );
}

function Checks({ checks }: { checks: Check[] }) {
  return (
    <ul class="checks">
      {checks.map((check) => {
        const [mark, word] = MARKS[check.outcome] ?? MARKS.noted;
        return (
          <li key={check.what} class={check.outcome}>
            <span class="tick" role="img" aria-label={word} title={word}>
              {mark}
            </span>
            <div>
              <p>
                <Inert text={check.what} most={1000} />
                {check.found !== null && check.found !== undefined && (
                  <>
                    {" "}
                    <code>
                      <Inert text={check.found} most={1000} />
                    </code>
                  </>
                )}
                <small>{check.section}</small>
              </p>
              {check.mend && (
                <p class="mend">
                  <Inert text={check.mend} most={2000} />
                </p>
              )}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
