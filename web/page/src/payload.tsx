// A payload as text, as a tree of JSON, or in hex. All of it is text that is set as text.

import { useMemo, useState } from "preact/hooks";
import { useKeys } from "./keys.js";
import { BYTES_A_ROW, bytesOf, hexRow, jsonOf, textOf } from "./parts/bytes.js";
import type { Payload } from "./parts/messages.js";
import { laidOut } from "./parts/record.js";
import { bytes } from "./parts/units.js";
import { Inert } from "./text.js";
import { Tree } from "./tree.js";

type Way = "text" | "tree" | "hex";

/** Characters of text, and rows of hex, that are drawn at once. */
const TEXT_STEP = 20_000;
const HEX_STEP = 512;

/** How payloads are looked at, for the next one, too. */
let preferred: Way | undefined;

export function PayloadView({ payload, name }: { payload: Payload; name: string }) {
  const raw = useMemo(() => bytesOf(payload), [payload]);
  const text = useMemo(() => textOf(payload), [payload]);
  const document = useMemo(() => (payload.enc === "utf8" && !payload.truncated ? jsonOf(text) : undefined), [payload]);
  const isTree = document !== undefined && typeof document.value === "object" && document.value !== null;
  const usual: Way = payload.enc === "base64" ? "hex" : isTree ? "tree" : "text";
  const [way, setWay] = useState<Way>(preferred ?? usual);
  const shown = way === "tree" && !isTree ? usual : way;
  const choose = (next: Way) => {
    preferred = next;
    setWay(next);
  };
  useKeys({ t: () => choose("text"), r: () => choose("tree"), x: () => choose("hex") });
  return (
    <section class="payload" aria-label={name}>
      <h3>
        Payload <small>{bytes(raw.length)}</small>
        <span class="tabs small" role="tablist">
          <Tab way="text" shown={shown} choose={choose} title="Text" hint="As text (t)" />
          <Tab way="tree" shown={shown} choose={choose} title="JSON" hint="As a tree (r)" off={!isTree} />
          <Tab way="hex" shown={shown} choose={choose} title="Hex" hint="Byte by byte (x)" />
        </span>
        <button type="button" class="quiet" title="Copy it as text" onClick={() => void navigator.clipboard?.writeText(laidOut(text))}>
          Copy
        </button>
      </h3>
      {raw.length === 0 ? (
        <p class="none">It is empty.</p>
      ) : shown === "hex" ? (
        <Hex raw={raw} />
      ) : shown === "tree" && document ? (
        <div class="tree">
          <Tree value={document.value} />
        </div>
      ) : (
        <Text text={text} />
      )}
    </section>
  );
}

interface TabShown {
  way: Way;
  shown: Way;
  choose(way: Way): void;
  title: string;
  hint: string;
  off?: boolean;
}

function Tab({ way, shown, choose, title, hint, off }: TabShown) {
  return (
    <button type="button" role="tab" aria-selected={way === shown} title={hint} disabled={off} onClick={() => choose(way)}>
      {title}
    </button>
  );
}

function Text({ text }: { text: string }) {
  const [most, setMost] = useState(TEXT_STEP);
  return (
    <>
      <pre class="text">
        <Inert text={text} keep={"\n\t"} most={most} />
      </pre>
      {text.length > most && (
        <p class="more">
          <button type="button" onClick={() => setMost(most * 4)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}

function Hex({ raw }: { raw: Uint8Array }) {
  const [most, setMost] = useState(HEX_STEP);
  const all = Math.ceil(raw.length / BYTES_A_ROW);
  const rows = Array.from({ length: Math.min(all, most) }, (_, at) => hexRow(raw, at));
  return (
    <>
      <div class="hex" role="presentation">
        {rows.map(({ offset, hex, text }) => (
          <div key={offset}>
            <span class="offset">{offset}</span>
            <span class="octets">{hex}</span>
            <span class="characters">{text}</span>
          </div>
        ))}
      </div>
      {all > most && (
        <p class="more">
          <button type="button" onClick={() => setMost(most * 4)}>
            Show more
          </button>
        </p>
      )}
    </>
  );
}
