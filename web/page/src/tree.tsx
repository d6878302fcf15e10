// A JSON document as a tree whose branches open one by one, so that a large one costs no more than what is open.

import { useState } from "preact/hooks";
import { Inert } from "./text.js";

/** Branches of one value that are drawn at once. */
const STEP = 100;
const OPEN_DEPTH = 2;

export function Tree({ value, name, depth = 0 }: { value: unknown; name?: string; depth?: number }) {
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : undefined;
  const [open, setOpen] = useState(depth < OPEN_DEPTH);
  const [most, setMost] = useState(STEP);
  const label = name !== undefined && (
    <span class="key">
      <Inert text={name} />:{" "}
    </span>
  );
  if (!entries) {
    return (
      <div class="leaf">
        {label}
        <Leaf value={value} />
      </div>
    );
  }
  const [left, right] = Array.isArray(value) ? "[]" : "{}";
  return (
    <div class="branch">
      <button type="button" class="twig" aria-expanded={open} onClick={() => setOpen(!open)}>
        {label}
        {left}
        {!open && <small>{entries.length}</small>}
        {!open && right}
      </button>
      {open && (
        <div class="within">
          {entries.slice(0, most).map(([key, item]) => (
            <Tree key={key} name={key} value={item} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" class="quiet" onClick={() => setMost(most * 4)}>
              {entries.length - most} more
            </button>
          )}
        </div>
      )}
      {open && right}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === "string") {
    return (
      <span class="string">
        "<Inert text={value} most={4096} />"
      </span>
    );
  }
  return <span class={value === null ? "null" : typeof value}>{String(value)}</span>;
}
