// The settings in force, where each comes from, and the routes.

import { useEffect, useState } from "preact/hooks";
import { ask, feedState } from "../gateway.js";
import { choose, place } from "../place.js";
import { Search } from "../search.js";
import { Empty, Inert, Note } from "../text.js";

interface Configured {
  generation: number;
  loaded: string;
  file: string | null;
  values: { key: string; value: unknown; origin: string; reason?: string | null }[];
  routes: Record<string, unknown>[];
}

export function Configuration() {
  const { filter = "", origin = "" } = place.value.chosen;
  const [told, setTold] = useState<{ value?: Configured; refused?: string }>({});
  const live = feedState.value.name === "live";
  useEffect(() => {
    void ask<Configured>("/configuration").then(setTold);
  }, [live]);
  const { value: configured, refused } = told;
  const values = (configured?.values ?? []).filter(
    ({ key, origin: from }) => key.includes(filter) && (!origin || from !== "default"),
  );
  return (
    <section class="view">
      <div class="tools">
        <h1>Configuration</h1>
        {configured && (
          <p class="aside">
            {configured.file ? (
              <>
                <code>
                  <Inert text={configured.file} />
                </code>
                , loaded {configured.loaded}, generation {configured.generation}
              </>
            ) : (
              "No file: defaults, flags and the environment."
            )}
          </p>
        )}
        <span class="push" />
        <label class="check">
          <input type="checkbox" checked={!!origin} onChange={() => choose({ origin: origin ? undefined : "set" })} />
          Only what was set
        </label>
        <Search label="Filter settings" placeholder="Part of a key: max_" value={filter} change={(text) => choose({ filter: text })} />
      </div>
      {refused && <Note kind="error">{refused}</Note>}
      <div class="scroll">
        {configured && (
          <>
            <h2>Routes</h2>
            <div class="routes">
              {configured.routes.map((route, at) => (
                <Route key={at} route={route} />
              ))}
              {!configured.routes.length && <Empty>There is no route.</Empty>}
            </div>
            <h2>Settings</h2>
            <table class="settings">
              <thead>
                <tr>
                  <th title="As in tidegate.toml">Key</th>
                  <th>Value</th>
                  <th title="Default, file, flag, environment, or computed from this machine">From</th>
                </tr>
              </thead>
              <tbody>
                {values.map(({ key, value, origin: from, reason }) => (
                  <tr key={key} class={from === "default" ? "usual" : ""}>
                    <td title={reason ?? undefined}>
                      <code>{key}</code>
                    </td>
                    <td>
                      <Inert text={words(value)} most={1000} />
                    </td>
                    <td>
                      <span class={`origin ${from}`}>{from}</span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {!values.length && <Empty>No setting is like this.</Empty>}
          </>
        )}
      </div>
    </section>
  );
}

function Route({ route }: { route: Record<string, unknown> }) {
  const { path, kind, ...others } = route;
  const rest = Object.entries(others).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return (
    <article>
      <h3>
        <code>
          <Inert text={words(path)} />
        </code>
        <span class="chip">{words(kind)}</span>
      </h3>
      <dl>
        {rest.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Inert text={words(value)} most={500} />
            </dd>
          </div>
        ))}
      </dl>
    </article>
  );
}

function words(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(words).join(", ");
  return JSON.stringify(value) ?? "";
}
