// Text that somebody else wrote: pieces, each set as text, harmful characters as visible escapes, and never turning the
// direction of what stands beside it.

import type { ComponentChildren } from "preact";
import { inert, pieces } from "./parts/inert.js";

/** Characters of a line in a table that are looked at. */
const LINE = 400;

export function Inert({ text, keep, most = LINE }: { text: string; keep?: string; most?: number }) {
  const cut = text.length > most ? text.slice(0, most) : text;
  return (
    <bdi class="inert" dir="ltr">
      {pieces(cut, keep).map((piece) => (piece.escape ? <i class="escape">{piece.text}</i> : piece.text))}
      {cut.length < text.length && "…"}
    </bdi>
  );
}

/** A name, with a title that says it whole. */
export function Name({ text, none = "–" }: { text: string | null | undefined; none?: string }) {
  if (!text) return <span class="none">{none}</span>;
  return (
    <span title={inert(text)}>
      <Inert text={text} />
    </span>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

/** A sentence of the page itself. */
export function Note({ kind = "info", children }: { kind?: "info" | "warning" | "error"; children: ComponentChildren }) {
  return (
    <p class={`note ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </p>
  );
}
