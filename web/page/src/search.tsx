// The field for a filter: `/` goes there, what is wrong with the filter is said below it with the place.

import { useRef } from "preact/hooks";
import { useKeys } from "./keys.js";

interface Shown {
  label: string;
  placeholder: string;
  value: string;
  change(text: string): void;
  wrong?: { wrong: string; column: number } | undefined;
}

export function Search({ label, placeholder, value, change, wrong }: Shown) {
  const field = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => field.current?.select() });
  return (
    <div class={`search${wrong ? " wrong" : ""}`}>
      <input
        ref={field}
        type="text"
        inputmode="search"
        aria-label={label}
        aria-invalid={wrong !== undefined}
        placeholder={placeholder}
        title={`${label} (/)`}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        value={value}
        onInput={({ currentTarget }) => change(currentTarget.value)}
      />
      {wrong && (
        <p role="alert">
          Column {wrong.column}: {wrong.wrong}
        </p>
      )}
    </div>
  );
}
