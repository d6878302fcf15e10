// What is kept of the channel: the last position, and the document where changes of it come. It turns envelopes into
// what users hear, each publication once and in order. Of connections it knows nothing.

import type { Options, Transport } from "./api.js";
import { applyJsonPatch, applyMergePatch, type Operation } from "./patch.js";
import { distance } from "./position.js";
import { tell } from "./tell.js";
import type { Envelope } from "./transport.js";

export class Channel {
  position: string | undefined;
  #options: Options;
  /** What changes are relative to; kept only with `updates`. */
  #document: unknown;
  /** Whether all up to `position` is had. With `updates` that means the document there. */
  #complete: boolean;
  /** Whether the next connection resumes at `position`. */
  #resumable: boolean;

  constructor(options: Options, after: string | undefined) {
    this.#options = options;
    this.position = after;
    this.#document = options.document;
    this.#resumable = this.#complete = !options.updates || options.document !== undefined;
  }

  /** Where the next connection resumes, unless it has to begin anew. */
  after(): string | undefined {
    return this.#resumable ? this.position : undefined;
  }

  /** The next connection begins anew. */
  forget(): void {
    this.#resumable = this.#complete = false;
  }

  /** The channel is followed. `after`: where this was asked to go on; on a connection that stands, where it is. */
  open({ position: place = "", recovered: known = false }: Envelope, after: string | undefined, transport: Transport) {
    const ahead = distance(this.position, place);
    // What came by another connection meanwhile is not missing, wherever this one begins.
    const resumed = ahead > 0 ? known && after !== undefined : ahead <= 0 && (known || after !== this.position);
    const recovered = this.position === undefined ? known : resumed;
    if (!resumed) this.position = place;
    // What follows may be whole even where no document is had yet, and a change does not fit then.
    this.#resumable = true;
    this.#complete = !this.#options.updates || (this.#complete && resumed);
    tell(this.#options.onopen, { position: this.position as string, recovered, transport });
  }

  /** A publication. False if it is a change of something that is not had: the connection is of no use then. */
  publish(envelope: Envelope): boolean {
    const { position, event, patch } = envelope;
    const ahead = distance(this.position, position as string);
    if (ahead <= 0 && this.#complete) return true;
    let data = content(envelope);
    if (envelope.type === "patch") {
      if (ahead !== 1 || !this.#complete) return false;
      try {
        data = this.#changed(patch);
      } catch {
        return false;
      }
    }
    this.position = position;
    this.#complete = true;
    if (this.#options.updates) this.#document = data;
    tell(this.#options.onmessage, { data, position, patch, event });
    return true;
  }

  #changed(patch: unknown): unknown {
    return this.#options.updates === "merge-patch"
      ? applyMergePatch(this.#document, patch)
      : applyJsonPatch(this.#document, patch as Operation[]);
  }
}

/** A payload, whichever form it has. */
export function content({ data, text, binary }: Envelope): unknown {
  return data === undefined ? (text ?? binary) : data;
}
