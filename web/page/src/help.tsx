// The keys, and the words of the filter language, over the page until they are closed.

import { Dialog } from "./dialog.js";

const KEYS: [string, string][] = [
  ["1 – 6", "the views, from left to right"],
  ["j k", "next and previous row; the arrows do, too"],
  ["g G", "first and last row; G also follows what comes"],
  ["Enter", "open the row"],
  ["Esc", "close what is open, leave a field, go back"],
  ["/", "filter"],
  ["[ ]", "previous and next tab, preset or chart"],
  ["Space", "pause, and go on"],
  ["f", "follow the newest"],
  ["t r x", "payload as text, JSON tree, hex"],
  ["e", "export what is shown as JSON lines"],
  ["c", "close a connection"],
];

const FILTER: [string, string][] = [
  ["dir:in", "to the client; dir:out to the server"],
  ["op:text,close", "kinds of frames, any of them; data and control are groups"],
  ["-op:ping", "not pings"],
  ["len:>1k", "bytes of payload; wire: counts the header"],
  ["code:1006", "close code"],
  ["has:error", "broken rules; also compressed, truncated, fragment, rtt"],
  ['text:"buy"', "text within the payload; a word alone does the same"],
  ["re:/err\\w+/i", "a regular expression"],
  ['json:$.type=="trade"', "a place in a JSON payload"],
  ["path:/quotes* user:42", "whose connection it is; also conn: and ch:"],
];

export function Help({ close }: { close(): void }) {
  return (
    <Dialog title="Keys and filters" close={close}>
      <div class="help">
        <section>
          <h3>Keys</h3>
          <Pairs pairs={KEYS} />
        </section>
        <section>
          <h3>Filters</h3>
          <p>White space is and, a comma is or, a minus is not.</p>
          <Pairs pairs={FILTER} />
        </section>
      </div>
    </Dialog>
  );
}

function Pairs({ pairs }: { pairs: [string, string][] }) {
  return (
    <dl>
      {pairs.map(([key, meaning]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}
