/**
 * The members of a JSON object as they are written, repeats included. `JSON.parse` keeps the last of two equal names
 * and rounds long numbers; a callback that says `code` twice must be refused, and an id must keep every digit.
 *
 * It validates nothing itself: `JSON.parse` does that first, and this walk trusts the text from then on.
 * Called by `core/callback/parse.ts`.
 */

export interface JsonMember {
  name: string;
  /** The value's source text, trimmed. */
  source: string;
}

/** The members of the object in `text`, in order; undefined when `text` is no JSON object. */
export function jsonMembers(text: string): JsonMember[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  } catch {
    return undefined;
  }
  const members: JsonMember[] = [];
  let at = text.indexOf('{') + 1;
  while (true) {
    const quote = text.indexOf('"', at);
    const close = text.indexOf('}', at);
    if (quote === -1 || close < quote) return members;
    const nameEnd = endOfString(text, quote);
    const valueStart = text.indexOf(':', nameEnd) + 1;
    const valueEnd = endOfValue(text, valueStart);
    members.push({
      name: JSON.parse(text.slice(quote, nameEnd)) as string,
      source: text.slice(valueStart, valueEnd).trim(),
    });
    at = valueEnd;
  }
}

/** The index behind the closing quote of the string that opens at `open`. */
function endOfString(text: string, open: number): number {
  let at = open + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The index of the comma or brace that ends the value at `start`. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (true) {
    const char = text[at];
    if (depth === 0 && (char === ',' || char === '}')) return at;
    if (char === '{' || char === '[') depth++;
    if (char === '}' || char === ']') depth--;
    at = char === '"' ? endOfString(text, at) : at + 1;
  }
}
