// What somebody does: close a connection with a code, publish a text.

import { useState } from "preact/hooks";
import { Dialog } from "./dialog.js";
import { ask } from "./gateway.js";
import { maySend, nameOf } from "./parts/codes.js";
import { Note } from "./text.js";

const REASON_BYTES = 123;

export function CloseDialog({ id, close }: { id: string; close(): void }) {
  const [code, setCode] = useState("1000");
  const [reason, setReason] = useState("");
  const [refused, setRefused] = useState<string>();
  const number = Number(code);
  const length = new TextEncoder().encode(reason).length;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const query = new URLSearchParams({ code, reason });
    const answer = await ask(`/connections/${encodeURIComponent(id)}?${query}`, { method: "DELETE" });
    if ("refused" in answer) setRefused(answer.refused);
    else close();
  };
  return (
    <Dialog title={`Close ${id}`} close={close}>
      <form onSubmit={submit}>
        <label>
          Code <small>{maySend(number) ? nameOf(number) : "1000 to 1003, 1007 to 1014, 3000 to 4999"}</small>
          <input inputmode="numeric" value={code} onInput={({ currentTarget }) => setCode(currentTarget.value)} />
        </label>
        <label>
          Reason <small>{length} of {REASON_BYTES} bytes</small>
          <input value={reason} onInput={({ currentTarget }) => setReason(currentTarget.value)} />
        </label>
        {refused && <Note kind="error">{refused}</Note>}
        <p class="ends">
          <button type="button" onClick={close}>
            Leave it open
          </button>
          <button type="submit" class="main danger" disabled={!maySend(number) || length > REASON_BYTES}>
            Close the connection
          </button>
        </p>
      </form>
    </Dialog>
  );
}

interface Posting {
  label: string;
  path: string;
  act: string;
}

/** A text that is POSTed as it is. */
export function Message({ label, path, act }: Posting) {
  const [text, setText] = useState("");
  const [told, setTold] = useState<{ refused?: string; value?: string }>({});
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const headers = { "Content-Type": "text/plain; charset=utf-8" };
    const answer = await ask<{ position?: string; subscribers?: number }>(path, { method: "POST", headers, body: text });
    if ("refused" in answer) return setTold({ refused: answer.refused });
    const { position, subscribers } = answer.value;
    setTold({ value: position ? `published at ${position}${subscribers === undefined ? "" : `, ${subscribers} follow`}` : "sent" });
    return undefined;
  };
  return (
    <form class="message" onSubmit={submit}>
      <label>
        {label}
        <textarea rows={3} spellcheck={false} value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
      </label>
      <p class="ends">
        {told.value && <span role="status">{told.value}</span>}
        <button type="submit" class="main">
          {act}
        </button>
      </p>
      {told.refused && <Note kind="error">{told.refused}</Note>}
    </form>
  );
}
