// What the gateway's admin listener tells over /watch, as far as the page reads it. Members may be added there; the page
// passes over what it does not know. Types only: nothing here does anything.

export interface Payload {
  enc: "utf8" | "base64";
  data: string;
  truncated?: boolean;
}

export interface Violation {
  text: string;
  section: string;
  code?: number;
  at?: number;
}

/** One event of a connection: all types in one, for the page asks each member whether it is there. */
export interface Event {
  v: number;
  ts: string;
  type: string;
  conn?: string;
  /** Its number on its connection. */
  n?: number;
  dir?: "c2s" | "s2c";
  // frame, message
  fin?: boolean;
  rsv?: [number, number, number];
  opcode?: number;
  op?: string;
  masked?: boolean;
  mask?: string;
  hdr?: string;
  len?: number;
  wire?: number;
  inflated?: number;
  msg?: number;
  frag?: number;
  frags?: number;
  us?: number;
  rtt_us?: number;
  code?: number;
  compressed?: boolean;
  payload?: Payload;
  plain?: Payload;
  violations?: Violation[];
  // handshake
  start?: string;
  status?: number;
  headers?: [string, string][];
  // open
  url?: string;
  // note
  level?: string;
  message?: string;
  section?: string;
  // drop
  what?: string;
  count?: number;
  // drop, close
  reason?: string;
  // close
  name?: string | null;
  clean?: boolean;
  by?: string;
  end?: string;
  idle_us?: number;
}

export interface Close {
  at: number;
  code: number;
  name: string | null;
  meaning?: string | null;
  reason?: string | null;
  by: string | null;
  clean: boolean;
  end?: string | null;
  limit?: string | null;
  idle_ms?: number | null;
  what_happened?: string | null;
  hint?: string | null;
}

export interface Row {
  id: string;
  state: string;
  door: string;
  transport: string;
  tls: string | null;
  remote: string;
  route: string;
  path: string | null;
  user: string | null;
  subprotocol: string | null;
  channels: string[];
  /** Milliseconds since 1970. */
  opened_ms: number;
  idle_ms: number | null;
  rtt_ms: number | null;
  sent_messages: number;
  sent_bytes: number;
  received_messages: number;
  received_bytes: number;
  queue_bytes: number;
  queue_messages: number;
  queue_max_bytes?: number;
  compression: string | null;
  compression_parameters: string | null;
  deflate_ratio: number | null;
  close: Close | null;
}

export interface Check {
  part: "request" | "answer";
  outcome: "met" | "broken" | "noted";
  what: string;
  section: string;
  found: string | null;
  mend: string | null;
}

export interface Head {
  line: string;
  headers: [string, string][];
}

export interface Handshake {
  at: number;
  connection: string | null;
  remote: string;
  request: Head;
  response: Head;
  /** Whether names of headers are as they came, in case and order. */
  as_written?: boolean;
  checks: Check[];
  refused: { status: number; reason: string; setting: string | null } | null;
  timing: Record<string, number | null> | null;
}

export interface Figures {
  connections: number;
  by_door: Record<string, number>;
  channels: number;
  subscriptions?: number;
  sent_messages: number;
  sent_bytes: number;
  received_messages: number;
  received_bytes: number;
  publications: number;
  accepted: number;
  refused: number;
  closed: Record<string, number>;
  dropped: number;
  /** Absent where nobody counts them. */
  queue_bytes?: number;
  cpu_ms?: number;
  resident_bytes?: number;
  backend_requests?: number;
  backend_errors?: number;
}

export interface Sample {
  at: number;
  figures: Figures;
}

export interface ChannelRow {
  channel: string;
  kind: string | null;
  position: string | null;
  subscribers: number;
  history: number;
  rate: number | null;
  present: number | null;
  source: { state: string; reason?: string | null } | null;
}

export interface Publication {
  position: string;
  at: number;
  bytes: number;
  preview: string;
  payload: "json" | "text" | "binary";
}

export interface BackendRow {
  channel: string;
  kind: string;
  url: string;
  state: string;
  reason: string | null;
  requests: number;
  not_modified: number;
  changes: number;
  errors: number;
  last_status: number | null;
  last_ms: number | null;
  last_at: number | null;
  interval_ms: number | null;
  retry_at: number | null;
}

/** Whatever the gateway says: `type` and, where it answers a watch, its `id`. */
export interface Told {
  type: string;
  id?: number;
  message?: string;
  [member: string]: unknown;
}

/** What the page asks to see, without the number that the feed gives it. */
export interface Wish {
  what: string;
  [member: string]: unknown;
}
