// What parts of the page ask the gateway for, as hooks: a watch for as long as the part is shown, drawn at most once a
// frame of the screen.

import { useEffect, useRef, useState } from "preact/hooks";
import { feed } from "./gateway.js";
import type { Told, Wish } from "./parts/messages.js";

/** Draws the part anew with the next frame of the screen, however often it is asked. */
export function useRedraw(): () => void {
  const [, draw] = useState(0);
  const asked = useRef(0);
  useEffect(() => () => cancelAnimationFrame(asked.current), []);
  return useRef(() => {
    if (asked.current) return;
    asked.current = requestAnimationFrame(() => {
      asked.current = 0;
      draw((count) => count + 1);
    });
  }).current;
}

/** Watches as long as the part is shown; the wish is told anew when it is another one. */
export function useWatch(wish: Wish | undefined, told: (message: Told) => void): void {
  const newest = useRef(told);
  newest.current = told;
  const text = wish && JSON.stringify(wish);
  useEffect(() => {
    if (text === undefined) return undefined;
    return feed.watch(JSON.parse(text) as Wish, (message) => newest.current(message));
  }, [text]);
}

/** The newest message of a watch, and what was refused. */
export function useNewest<T extends Told>(wish: Wish): { newest: T | undefined; refused: string | undefined } {
  const [state, set] = useState<{ newest?: T; refused?: string }>({});
  const text = JSON.stringify(wish);
  useEffect(() => set({}), [text]);
  useWatch(wish, (message) => {
    if (message.type === "error") set((before) => ({ ...before, refused: message.message ?? "this is refused" }));
    else set({ newest: message as T });
  });
  return { newest: state.newest, refused: state.refused };
}
