// The keyboard: each part of the page that is shown says which keys it takes, the newest first. A key that is typed into
// a field is the field's, but for those that leave it.

import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, () => void>;

const taken: { current: Keys }[] = [];

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  const typing = target.matches("input, textarea, select, [contenteditable]");
  if (typing) {
    // A field of one line is left by Enter, too; but a form has its own use for it.
    const leaves = event.key === "Escape" || (event.key === "Enter" && target.matches(".search input"));
    if (leaves) target.blur();
    return;
  }
  // Enter and Space press what has the focus.
  const presses = (event.key === "Enter" || event.key === " ") && target.matches("button, a, summary");
  if (presses) return;
  for (const keys of [...taken].reverse()) {
    const act = Object.hasOwn(keys.current, event.key) ? keys.current[event.key] : undefined;
    if (act) {
      event.preventDefault();
      act();
      return;
    }
  }
});

/** Takes these keys as long as the part is shown, before the parts that it stands in. */
export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  const known = useRef(false);
  current.current = keys;
  if (!known.current) {
    // While it is drawn, for what it stands in is drawn before it; effects come the other way round.
    known.current = true;
    taken.push(current);
  }
  useEffect(() => () => void taken.splice(taken.indexOf(current), 1), []);
}
