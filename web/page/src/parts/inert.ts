// What peers sent, made visible: control characters, what turns the direction of writing, and what takes no space stand
// as escapes, so that no row can read as what it is not. The page sets the pieces as text, never as markup.

/** A piece of text as it is, or the escape of one character. */
export interface Piece {
  text: string;
  escape: boolean;
}

// C0, DEL, C1, separators, direction marks, zero-width characters, tags, and surrogates that stand alone.
const HARMFUL =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0" };

export function escaped(character: string): string {
  return SHORT[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** The pieces of a line. `keep` are characters that stay as they are: line ends and tabs, where there are lines. */
export function pieces(text: string, keep = ""): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(HARMFUL)) {
    if (keep.includes(match[0])) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index), escape: false });
    found.push({ text: escaped(match[0]), escape: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), escape: false });
  return found;
}

/** The same as one text, for titles and file names. */
export function inert(text: string): string {
  return text.replace(HARMFUL, escaped);
}
