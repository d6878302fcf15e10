// The head of a request or an answer, in the order of the wire. What is hidden stands as the gateway left it.

import { Inert } from "./text.js";

export function Headers({ line, headers }: { line: string; headers: [string, string][] }) {
  return (
    <div class="headers">
      <p class="start">
        <Inert text={line} most={4096} />
      </p>
      <dl>
        {headers.map(([name, value], at) => (
          <div key={at} class={/hidden/.test(value) ? "hidden" : undefined}>
            <dt>
              <Inert text={name} />
            </dt>
            <dd>
              <Inert text={value} most={4096} />
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
