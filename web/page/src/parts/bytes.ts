// Payloads as bytes, as rows of hex, and as text; what kind of thing they are. No drawing.

import type { Payload } from "./messages.js";

export interface HexRow {
  offset: string;
  hex: string;
  text: string;
}

const ENCODER = new TextEncoder();

export function bytesOf(payload: Payload): Uint8Array {
  if (payload.enc === "utf8") return ENCODER.encode(payload.data);
  try {
    return Uint8Array.from(atob(payload.data), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** The text of a payload; of one that is no UTF-8, with a mark in place of each bad byte. */
export function textOf(payload: Payload): string {
  return payload.enc === "utf8" ? payload.data : new TextDecoder().decode(bytesOf(payload));
}

export const BYTES_A_ROW = 16;

/** One row of a dump. */
export function hexRow(bytes: Uint8Array, row: number): HexRow {
  const from = row * BYTES_A_ROW;
  const part = [...bytes.subarray(from, from + BYTES_A_ROW)];
  const digits = part.map((byte) => byte.toString(16).padStart(2, "0"));
  const hex = [digits.slice(0, 8).join(" "), digits.slice(8).join(" ")].join("  ");
  const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
  return { offset: from.toString(16).padStart(6, "0"), hex, text };
}

/** The document, if that is what the text is: an object, a list, or another value. */
export function jsonOf(text: string): { value: unknown } | undefined {
  if (!/^\s*[[{"\-0-9tfn]/.test(text)) return undefined;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
