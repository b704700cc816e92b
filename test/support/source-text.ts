/**
 * Reads TypeScript as far as the structure test needs it: `maskSource` blanks comments and the insides of strings and
 * regular expressions (every character keeps its place, so offsets and lines stay true), and `findImports` lists what a
 * file imports. A scanner, not a parser: it knows nothing of scopes or types.
 */

export interface Import {
  specifier: string;
  line: number;
  /** `import type` or `export type`: erased, nothing is loaded. `import { type A }` still loads the module. */
  typeOnly: boolean;
  /** What stands between the keyword and `from`: `{ a, type B }`, `* as c`. Empty for `import 'x'` and `import('x')`. */
  clause: string;
}

const BLANK_EXCEPT_NEWLINES = /[^\n]/g;
const IMPORT =
  /\b(import|export)\b(?!\s*[.:=?])\s*(type\b(?!\s*(?:from|,))\s*)?(\(\s*|[\w\s{},*$]*?\bfrom\s*|)(?=['"`])/g;
const REGEX_MAY_FOLLOW_WORD = /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|throw|new|else|do|await|yield)$/;

const BRACE_STEP: Readonly<Record<string, number>> = { '{': 1, '}': -1 };

export function findImports(source: string): Import[] {
  const masked = maskSource(source);
  return [...masked.matchAll(IMPORT)].flatMap((match): Import[] => {
    const [whole, keyword, type, clause] = match;
    if (keyword === 'export' && !clause?.includes('from')) return [];
    const open = match.index + whole.length;
    const close = masked.indexOf(masked.charAt(open), open + 1);
    return [
      {
        specifier: source.slice(open + 1, close),
        line: lineOf(source, match.index),
        typeOnly: type !== undefined,
        clause: (clause ?? '').replace(/\bfrom\s*$|^\(\s*/, '').trim(),
      },
    ];
  });
}

export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}

/** The same text with comments, and what is inside quotes, turned into spaces. Code inside `${…}` stays. */
export function maskSource(source: string): string {
  let out = '';
  let at = 0;
  // One entry for each `${` that is open: how many braces were open when it began.
  const templates: number[] = [];
  let braces = 0;
  while (at < source.length) {
    const char = source.charAt(at);
    const endsExpression = char === '}' && templates.at(-1) === braces;
    const span = endsExpression ? { end: endOfTemplatePart(source, at), keep: 1 } : spanAt(source, at, out);
    if (endsExpression) templates.pop();
    if (span === undefined) {
      braces += BRACE_STEP[char] ?? 0;
      out += char;
      at += 1;
    } else {
      if ((endsExpression || char === '`') && source.startsWith('${', span.end - 2)) templates.push(braces);
      out += blank(source.slice(at, span.end), span.keep);
      at = span.end;
    }
  }
  return out;
}

/** Spaces for everything but newlines and the first and last `keep` characters. */
function blank(text: string, keep: number): string {
  const inside = text.slice(keep, text.length - keep).replace(BLANK_EXCEPT_NEWLINES, ' ');
  return text.slice(0, keep) + inside + text.slice(text.length - keep);
}

/** The comment, string, template part or regular expression that starts here; undefined where code goes on. */
function spanAt(source: string, at: number, before: string): { end: number; keep: number } | undefined {
  if (source.startsWith('//', at)) return { end: endOr(source.indexOf('\n', at), source), keep: 0 };
  if (source.startsWith('/*', at)) return { end: endOr(source.indexOf('*/', at + 2) + 2, source), keep: 0 };
  switch (source.charAt(at)) {
    case "'":
    case '"':
      return { end: endOfQuoted(source, at), keep: 1 };
    case '`':
      return { end: endOfTemplatePart(source, at), keep: 1 };
    case '/':
      return regexMayFollow(before) ? { end: endOfRegex(source, at), keep: 1 } : undefined;
    default:
      return undefined;
  }
}

function endOr(end: number, source: string): number {
  return end < 2 ? source.length : end;
}

function endOfQuoted(source: string, start: number): number {
  const quote = source.charAt(start);
  let at = start + 1;
  while (at < source.length && source.charAt(at) !== quote && source.charAt(at) !== '\n') {
    at += source.charAt(at) === '\\' ? 2 : 1;
  }
  return at + 1;
}

/** From a backtick, or the brace that ends an expression, to just after the closing backtick or the next `${`. */
function endOfTemplatePart(source: string, start: number): number {
  let at = start + 1;
  while (at < source.length) {
    if (source.charAt(at) === '`') return at + 1;
    if (source.startsWith('${', at)) return at + 2;
    at += source.charAt(at) === '\\' ? 2 : 1;
  }
  return source.length;
}

function endOfRegex(source: string, start: number): number {
  let at = start + 1;
  let inClass = false;
  while (at < source.length && source.charAt(at) !== '\n') {
    const char = source.charAt(at);
    if (char === '/' && !inClass) return at + 1;
    if (char === '[') inClass = true;
    if (char === ']') inClass = false;
    at += char === '\\' ? 2 : 1;
  }
  return at;
}

/** A slash divides after a value and opens a regular expression after anything else. */
function regexMayFollow(before: string): boolean {
  const text = before.trimEnd();
  return text === '' || '(,=:[!&|?{};+-*%~^<>}'.includes(text.slice(-1)) || REGEX_MAY_FOLLOW_WORD.test(text);
}
