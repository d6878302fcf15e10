// What is shown without a token, or with one that the gateway refuses.

import { useState } from "preact/hooks";
import { Mark } from "./app.js";
import { enter, feedState, token } from "./gateway.js";
import { Note } from "./text.js";

export function Door() {
  const [text, setText] = useState("");
  const refused = token.value !== undefined && feedState.value.name === "refused";
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (text.trim()) enter(text.trim());
  };
  return (
    <main class="door">
      <form onSubmit={submit}>
        <h1>
          <Mark />
          Tidegate
        </h1>
        {refused && <Note kind="error">The gateway refuses this token: it is not its admin token.</Note>}
        <label for="token">Admin token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          autofocus
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <button type="submit" class="main" disabled={!text.trim()}>
          Look
        </button>
        <p class="aside">
          It is what <code>[access] admin_token</code> says. Where none is configured, the gateway makes one when it
          starts and prints the address of this page with it. It stays in this tab.
        </p>
      </form>
    </main>
  );
}
