// A table of which only the rows in view are drawn: fixed row height, columns by their rank as far as there is room, one
// selected row. Rows come from outside by place, so that a table of many thousands costs what a screenful costs.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "./keys.js";

export interface Column<T> {
  key: string;
  title: string;
  /** What the column is, for who sees it for the first time. */
  hint: string;
  /** Pixels at least; columns with `grow` share what is left. */
  width: number;
  grow?: number;
  /** Those of the lowest rank stay when there is little room. */
  rank: number;
  right?: boolean;
  mono?: boolean;
  show(row: T): ComponentChildren;
}

export interface Rows<T> {
  /** The place of the first row and the one behind the last; they move when the oldest go. */
  begin: number;
  end: number;
  at(place: number): T | undefined;
}

interface Shown<T> {
  label: string;
  columns: Column<T>[];
  rows: Rows<T>;
  id(row: T): string;
  tone?(row: T): string | undefined;
  selected?: string | undefined;
  select?(row: T): void;
  open?(row: T): void;
  /** Stays at the end as long as nobody scrolls away from it. */
  follow?: boolean;
  following?(follows: boolean): void;
  empty?: ComponentChildren;
  sorted?: string | undefined;
  sort?(column: string): void;
}

export const ROW = 28;
const SPARE_ROWS = 8;

export function listed<T>(items: readonly T[]): Rows<T> {
  return { begin: 0, end: items.length, at: (place) => items[place] };
}

export function Table<T>(shown: Shown<T>) {
  const { rows, columns, selected } = shown;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 400, width: 1000 });
  const begin = useRef(rows.begin);
  useMeasured(box, setView);
  // The rows in view stay where they are when the oldest go.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const gone = rows.begin - begin.current;
    begin.current = rows.begin;
    if (shown.follow) element.scrollTop = element.scrollHeight;
    else if (gone > 0) element.scrollTop = Math.max(0, element.scrollTop - gone * ROW);
  });
  const place = placeOf(shown);
  useMoves(shown, box, place);

  const fitting = fit(columns, view.width);
  const template = fitting.map((column) => (column.grow ? `minmax(${widthOf(column, view.width)}px,${column.grow}fr)` : `${column.width}px`));
  const first = Math.max(rows.begin, rows.begin + Math.floor(view.top / ROW) - SPARE_ROWS);
  const last = Math.min(rows.end, first + Math.ceil(view.height / ROW) + 2 * SPARE_ROWS);
  const drawn = [];
  for (let at = first; at < last; at += 1) {
    const row = rows.at(at);
    if (row !== undefined) drawn.push(<Line key={at} {...{ shown, row, at, fitting, is: shown.id(row) === selected }} />);
  }
  const count = rows.end - rows.begin;
  const scrolled = ({ currentTarget: element }: { currentTarget: HTMLDivElement }) => {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < ROW;
    setView((before) => ({ ...before, top: element.scrollTop }));
    if (shown.following && atEnd !== !!shown.follow) shown.following(atEnd);
  };
  return (
    <div
      ref={box}
      class="table"
      role="grid"
      tabIndex={0}
      aria-label={shown.label}
      aria-rowcount={count + 1}
      aria-activedescendant={place === undefined ? undefined : `row-${place}`}
      style={{ "--columns": template.join(" ") }}
      onScroll={scrolled}
    >
      <Head shown={shown} fitting={fitting} />
      <div class="rows" role="rowgroup" style={{ height: `${count * ROW}px` }}>
        <div class="window" role="presentation" style={{ transform: `translateY(${(first - rows.begin) * ROW}px)` }}>
          {drawn}
        </div>
      </div>
      {count === 0 && shown.empty}
    </div>
  );
}

function Head<T>({ shown, fitting }: { shown: Shown<T>; fitting: Column<T>[] }) {
  return (
    <div class="head" role="row" aria-rowindex={1}>
      {fitting.map((column) => {
        const sorts = shown.sort !== undefined && SORTS.has(column.key);
        const is = shown.sorted === column.key;
        return (
          <span
            key={column.key}
            role="columnheader"
            title={column.hint}
            class={column.right ? "right" : undefined}
            aria-sort={is ? "descending" : undefined}
          >
            {sorts ? (
              <button type="button" onClick={() => shown.sort?.(column.key)}>
                {column.title}
                {is && " ↓"}
              </button>
            ) : (
              column.title
            )}
          </span>
        );
      })}
    </div>
  );
}

/** Columns by which the gateway sorts. */
const SORTS = new Set(["age", "idle", "queue", "sent", "received", "activity", "rate", "subscribers", "name"]);

interface Drawn<T> {
  shown: Shown<T>;
  row: T;
  at: number;
  fitting: Column<T>[];
  is: boolean;
}

function Line<T>({ shown, row, at, fitting, is }: Drawn<T>) {
  const tone = shown.tone?.(row);
  return (
    <div
      id={`row-${at}`}
      role="row"
      class={`row${tone ? ` ${tone}` : ""}`}
      aria-rowindex={at - shown.rows.begin + 2}
      aria-selected={is}
      onClick={() => (shown.select ?? shown.open)?.(row)}
      onDblClick={() => shown.open?.(row)}
    >
      {fitting.map((column) => (
        <span key={column.key} role="gridcell" class={`${column.right ? "right " : ""}${column.mono ? "mono" : ""}`}>
          {column.show(row)}
        </span>
      ))}
    </div>
  );
}

/** The columns for which there is room, in their order. */
export function fit<T>(columns: Column<T>[], width: number): Column<T>[] {
  const GAP = 12;
  let left = width - 2 * GAP;
  const wants = (column: Column<T>) => widthOf(column, width) + GAP;
  const taken = new Set<Column<T>>();
  for (const column of [...columns].sort((a, b) => a.rank - b.rank)) {
    left -= wants(column);
    if (left < -GAP && taken.size > 0) break;
    taken.add(column);
  }
  return columns.filter((column) => taken.has(column));
}

/** A column that grows leaves room for others where there is little. */
function widthOf<T>({ grow, width }: Column<T>, all: number): number {
  return grow ? Math.min(width, Math.round(all * 0.45)) : width;
}

function placeOf<T>({ rows, id, selected }: Shown<T>): number | undefined {
  if (selected === undefined) return undefined;
  for (let at = rows.end - 1; at >= rows.begin; at -= 1) {
    const row = rows.at(at);
    if (row !== undefined && id(row) === selected) return at;
  }
  return undefined;
}

type View = { top: number; height: number; width: number };

function useMeasured(box: { current: HTMLDivElement | null }, set: (act: (before: View) => View) => void): void {
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => {
      set((before) => ({ ...before, height: element.clientHeight, width: element.clientWidth }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
}

function useMoves<T>(shown: Shown<T>, box: { current: HTMLDivElement | null }, place: number | undefined): void {
  const { rows } = shown;
  const move = (to: number) => {
    const at = Math.max(rows.begin, Math.min(rows.end - 1, to));
    const row = rows.at(at);
    const element = box.current;
    if (row === undefined || !element) return;
    shown.following?.(false);
    shown.select?.(row);
    const top = (at - rows.begin) * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    const seen = element.clientHeight - 2 * ROW;
    if (top > element.scrollTop + seen) element.scrollTop = top - seen;
  };
  const near = () => rows.begin + Math.floor((box.current?.scrollTop ?? 0) / ROW);
  const screen = () => Math.floor((box.current?.clientHeight ?? 400) / ROW) - 2;
  const down = () => move(place === undefined ? near() : place + 1);
  const up = () => move(place === undefined ? near() : place - 1);
  useKeys({
    j: down,
    ArrowDown: down,
    k: up,
    ArrowUp: up,
    PageDown: () => move((place ?? near()) + screen()),
    PageUp: () => move((place ?? near()) - screen()),
    g: () => move(rows.begin),
    Home: () => move(rows.begin),
    G: () => {
      move(rows.end - 1);
      shown.following?.(true);
    },
    End: () => {
      move(rows.end - 1);
      shown.following?.(true);
    },
    Enter: () => {
      const row = place === undefined ? undefined : rows.at(place);
      if (row !== undefined) shown.open?.(row);
    },
  });
}
