/**
 * Finds what a text cites by number: a section of the contract ("contract, section 5", "section 5 of the contract", or
 * "section 5" alone), a section of what is known of the provider ("provider-api.md section 3") and a decision
 * ("decision 0003"). Takes texts, returns sentences about those that lead nowhere. A number alone means the contract;
 * in provider-api.md it means that page. Documents of others ("RFC 9110, section 5") are not looked up.
 */

/** The numbers that headings give, by document. */
export interface Numbered {
  contract: ReadonlySet<string>;
  providerAPI: ReadonlySet<string>;
  /** Four digits each. */
  decisions: ReadonlySet<string>;
}

const CONTRACT_PAGE = 'docs/contract.md';
const PROVIDER_PAGE = 'docs/provider-api.md';
const NUMBER = String.raw`\d+[a-z]?`;
const SECTIONS = new RegExp(String.raw`\bsections?\s+(${NUMBER}(?:(?:,\s*|\s+(?:and|or|to)\s+)${NUMBER})*)\b`, 'gi');
const DECISION = /\b(?:decisions?|ADR)\s+(\d+)\b/gi;
/** What stands right before "section", where that names the document. */
const BEFORE = {
  others: /\bRFC\s*\d+\W*$/i,
  contract: /\bcontract(?:'s)?,?[\s(]*$/i,
  providerAPI: /\bprovider-api(?:\.md)?[`\])]*(?:\([^)]*\))?,?[\s(]*$/i,
};
const OF_CONTRACT = /^(?:'s)?\s+of\s+the\s+contract\b/i;

/** Numbers of headings such as `## 5. Submitting` and `### 4a. …`, as they stand; a number twice stands twice. */
export function headingNumbers(markdown: string): string[] {
  return [...markdown.matchAll(/^#{2,3} (\d+[a-z]?)\. /gm)].map(([, number = '']) => number);
}

/** One sentence for each citation in this file that leads nowhere or does not say which document it means. */
export function citationFaults(file: string, text: string, documents: Numbered): string[] {
  const flat = flattened(text);
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length;
  const sections = [...flat.matchAll(SECTIONS)].flatMap((match) =>
    sectionFaults(file, flat, match, documents).map((fault) => `${file}:${lineAt(match.index)} ${fault}`),
  );
  const decisions = [...flat.matchAll(DECISION)].flatMap((match) => {
    const number = match[1] ?? '';
    const where = `${file}:${lineAt(match.index)} cites decision ${number}`;
    if (number.length !== 4) return [`${where}; write its four digits, as its file has them.`];
    return documents.decisions.has(number) ? [] : [`${where}, but docs/decisions has none of that number.`];
  });
  return [...sections, ...decisions];
}

/** Line breaks and the marks of comments as spaces, so that a citation may go over two lines, but not over a blank one. */
function flattened(text: string): string {
  return text
    .replaceAll(/\n[ \t]*(?:\*(?!\/)|\/\/|#)?[ \t]*(?=\n)/g, (gap) => '¶'.padEnd(gap.length))
    .replaceAll(/\n[ \t]*(?:\*(?!\/)|\/\/|#)?/g, (gap) => ' '.repeat(gap.length));
}

function sectionFaults(file: string, flat: string, match: RegExpMatchArray, documents: Numbered): string[] {
  const page = pageOf(file, flat, match);
  if (page === 'others') return [];
  if (page === 'unclear') {
    return [
      `cites "${match[0]}" in a sentence about provider-api.md; say right before the number which document it is of.`,
    ];
  }
  const numbers = page === PROVIDER_PAGE ? documents.providerAPI : documents.contract;
  return listed(match[1] ?? '')
    .filter((number) => !numbers.has(number))
    .map((number) => `cites section ${number}, but ${page} has none of that number.`);
}

/** Which document a citation is of. */
function pageOf(file: string, flat: string, match: RegExpMatchArray): string {
  const start = match.index ?? 0;
  const before = flat.slice(Math.max(0, start - 160), start);
  const after = flat.slice(start + match[0].length, start + match[0].length + 40);
  if (BEFORE.others.test(before)) return 'others';
  if (OF_CONTRACT.test(after) || BEFORE.contract.test(before)) return CONTRACT_PAGE;
  if (file === PROVIDER_PAGE || BEFORE.providerAPI.test(before)) return PROVIDER_PAGE;
  return isUnclear(before) ? 'unclear' : CONTRACT_PAGE;
}

/** The other document is named earlier in the same sentence. */
function isUnclear(before: string): boolean {
  const sentence = before.split(/[.;:]\s/).at(-1) ?? '';
  return /provider-api/i.test(sentence) && !/contract/i.test(sentence);
}

/** `3, 6 and 8` as it stands; `3 to 7` with what lies between. */
function listed(numbers: string): string[] {
  const range = /^(\d+)\s+to\s+(\d+)$/i.exec(numbers);
  if (range === null) return numbers.split(/,\s*|\s+(?:and|or|to)\s+/i);
  const [from, to] = [Number(range[1]), Number(range[2])];
  return Array.from({ length: Math.max(1, to - from + 1) }, (_, step) => String(from + step));
}
