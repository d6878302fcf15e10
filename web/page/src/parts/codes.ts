// Close codes by name, for frames; what the gateway says of a connection's end has words of its own. RFC 6455, section
// 7.4, the registry of IANA, and the gateway's own 4000s.

const NAMES: Record<number, string> = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no status received",
  1006: "abnormal closure",
  1007: "invalid payload",
  1008: "policy violation",
  1009: "message too big",
  1010: "mandatory extension",
  1011: "internal error",
  1012: "service restart",
  1013: "try again later",
  1014: "bad gateway",
  1015: "TLS handshake",
  4400: "bad request",
  4401: "credentials missing, expired or refused",
  4403: "forbidden",
  4404: "no such route",
  4408: "time-out",
  4409: "position unrecoverable",
  4429: "rate limit",
};

export function nameOf(code: number): string {
  const own = NAMES[code];
  if (own) return own;
  if (code >= 3000 && code < 4000) return "registered by a library";
  return code >= 4000 && code < 5000 ? "private to the application" : "unknown";
}

/** Codes that an endpoint may send (RFC 6455, section 7.4.2). */
export function maySend(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/** Whether somebody should look at it: not a normal end. */
export function isFault(code: number): boolean {
  return ![1000, 1001, 1005].includes(code);
}
