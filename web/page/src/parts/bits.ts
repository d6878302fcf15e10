// The header of a frame, bit by bit (RFC 6455, section 5.2): its fields with the bits that they take, from the bytes in
// hex as the event has them. It draws nothing.

export interface Field {
  name: string;
  /** The first bit and the one behind the last. */
  from: number;
  to: number;
  value: string;
  meaning: string;
  group: "flag" | "opcode" | "mask" | "length" | "key";
}

const OPCODES: Record<number, string> = {
  0: "continuation: one more fragment of the message before it",
  1: "text: the payload is UTF-8",
  2: "binary: bytes without a meaning of their own",
  8: "close: the sender is done; a code and a reason may follow",
  9: "ping: the other side answers with the same payload",
  10: "pong: the answer to a ping, or a sign of life",
};

export function bytesOfHex(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
}

/** What each field of the header says; of a header that was cut off, as far as it came. */
export function fields(hex: string): Field[] {
  const bytes = bytesOfHex(hex);
  const [first, second] = bytes;
  if (first === undefined) return [];
  const bit = (byte: number, at: number) => (byte >> (7 - at)) & 1;
  const opcode = first & 0x0f;
  const found: Field[] = [
    flag("FIN", 0, bit(first, 0), "the last fragment of its message", "more fragments follow"),
    flag("RSV1", 1, bit(first, 1), "the message is compressed", "no extension speaks"),
    flag("RSV2", 2, bit(first, 2), "no extension that was agreed on uses it", "no extension speaks"),
    flag("RSV3", 3, bit(first, 3), "no extension that was agreed on uses it", "no extension speaks"),
    {
      name: "opcode",
      from: 4,
      to: 8,
      value: `0x${opcode.toString(16)}`,
      meaning: OPCODES[opcode] ?? "reserved: nobody may send it",
      group: "opcode",
    },
  ];
  if (second === undefined) return found;
  const masked = bit(second, 0);
  found.push({ ...flag("MASK", 8, masked, "masked: a client sent it", "not masked: a server sent it"), group: "mask" });
  return found.concat(lengths(bytes, second & 0x7f, masked === 1));
}

function lengths(bytes: number[], short: number, masked: boolean): Field[] {
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const how = ["", "", "the length stands in the next 2 bytes", "the length stands in the next 8 bytes"];
  const found: Field[] = [
    {
      name: "length",
      from: 9,
      to: 16,
      value: String(short),
      meaning: extended ? (how[short - 124] ?? "") : `${short} ${short === 1 ? "byte" : "bytes"} of payload`,
      group: "length",
    },
  ];
  if (extended && bytes.length >= 2 + extended) {
    const length = bytes.slice(2, 2 + extended).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    const value = String(length);
    const meaning = `${value} bytes of payload`;
    found.push({ name: "extended length", from: 16, to: 16 + extended * 8, value, meaning, group: "length" });
  }
  const key = bytes.slice(2 + extended, 6 + extended);
  if (masked && key.length === 4) {
    const from = 16 + extended * 8;
    const value = key.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const meaning = "the payload is XORed with these four bytes, over and over";
    found.push({ name: "masking key", from, to: from + 32, value, meaning, group: "key" });
  }
  return found;
}

function flag(name: string, at: number, value: number, set: string, clear: string): Field {
  return { name, from: at, to: at + 1, value: String(value), meaning: value ? set : clear, group: "flag" };
}

/** The five letters of a header, a dot for each bit that is not set. */
export function letters(frame: { fin?: boolean; rsv?: readonly number[]; masked?: boolean }): string {
  const rsv = frame.rsv ?? [0, 0, 0];
  return [frame.fin ? "F" : "·", ...[1, 2, 3].map((at) => (rsv[at - 1] ? String(at) : "·")), frame.masked ? "M" : "·"].join("");
}
