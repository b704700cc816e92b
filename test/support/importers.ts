/**
 * Two questions about who imports a file. Is a file with one importer worth being a file? And is what a header says
 * about its callers true? Takes file texts, returns sentences, as `structure.ts` does for ranks and purity.
 *
 * A shipped file that one other file imports costs its reader a jump and saves nobody a line. It stays where there is a
 * reason: it is generated; together with its importer it would pass the budget of a file; or `ONE_IMPORTER` lists it
 * under a reason. An entry of that list that is not needed any more is an error too.
 */
import { posix } from 'node:path';
import { findImports, maskSource } from './source-text.ts';

/** A file may hold 300 lines, blank ones and comments aside (the linter's budget). A fold leaves some room to grow. */
const FOLDED_LINES = 260;

/** Entries of processes and of the package: nobody here imports them. */
const ENTRY = /^src\/bin\/[^/]+\.ts$|^src\/(?:client|cli)\/index\.ts$|\.d\.ts$/;
const GENERATED = /^src\/api\/generated\//;

export const REASONS = [
  'the start of a process',
  'a role that every controller has',
  'a stage of a request',
  'a part of a long table',
  'a pure rule with its own test',
  'a subject of its own',
] as const;
/** Files that one file imports, under the reason why they are files all the same. Paths below `src`, without `.ts`. */
export type OneImporter = Readonly<Record<(typeof REASONS)[number], readonly string[]>>;

/** @param tests text of the unit tests, by path */
export function importerFaults(
  files: ReadonlyMap<string, string>,
  tests: ReadonlyMap<string, string>,
  listed: OneImporter,
): string[] {
  const importers = importersOf(files);
  const reasonOf = new Map<string, string>(
    Object.entries(listed).flatMap(([reason, names]) => names.map((name) => [`src/${name}.ts`, reason] as const)),
  );
  const shipped = [...files.keys()].filter((file) => file.startsWith('src/') && !GENERATED.test(file));
  const stale = [...reasonOf.keys()]
    .filter((file) => !shipped.includes(file) || !isLonely(file, importers, files))
    .map((file) => `${file} is listed as a file with one importer and needs no reason any more; take it off the list.`);
  return [...stale, ...shipped.flatMap((file) => lonelyFaults(file, reasonOf.get(file)))];

  function lonelyFaults(file: string, reason: string | undefined): string[] {
    const own = importers.get(file) ?? new Set<string>();
    if (ENTRY.test(file)) return [];
    if (own.size === 0) return [`${file} is imported by nothing; delete it.`];
    if (!isLonely(file, importers, files)) return [];
    if (reason === undefined) {
      return [
        `${file} has one importer, ${[...own][0]}; fold it in, or give the reason in test/support/one-importer.ts.`,
      ];
    }
    const needsTest = reason === 'a pure rule with its own test';
    if (needsTest && !isTested(file, tests))
      return [`${file} is listed as a rule with its own test; no unit test imports it.`];
    return [];
  }
}

function isLonely(
  file: string,
  importers: ReadonlyMap<string, ReadonlySet<string>>,
  files: ReadonlyMap<string, string>,
): boolean {
  const own = importers.get(file) ?? new Set<string>();
  if (ENTRY.test(file) || own.size !== 1) return false;
  const importer = files.get([...own][0] ?? '') ?? '';
  return countedLines(files.get(file) ?? '') + countedLines(importer) <= FOLDED_LINES;
}

function isTested(file: string, tests: ReadonlyMap<string, string>): boolean {
  return [...tests].some(([test, text]) =>
    findImports(text).some(({ specifier }) => posix.join(posix.dirname(test), specifier) === file),
  );
}

/** What imports each file, types included. */
function importersOf(files: ReadonlyMap<string, string>): Map<string, Set<string>> {
  const importers = new Map<string, Set<string>>();
  for (const [file, text] of files) {
    for (const { specifier } of findImports(text)) {
      if (!specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(file), specifier);
      importers.set(target, (importers.get(target) ?? new Set<string>()).add(file));
    }
  }
  return importers;
}

/** Lines that hold code. */
export function countedLines(text: string): number {
  return maskSource(text)
    .split('\n')
    .filter((line) => line.trim() !== '').length;
}

const HEADER = /^(?:#!.*\n)?\s*\/\*[\s\S]*?\*\//;
const CLAIM =
  /\b(?:Called|Used|Started|Run|Read|Imported|Asked|Fed)(?: (?:once|only))? by\b|\b(?:called|used) by(?= `)/g;
/** `a.ts`, `b.ts` and `c/d`, perhaps "alone". */
const NAMES = /^ ((?:`[^`]+`(?:,? and (?=`)|, (?=`))?)+)( alone| only)?(?!,? (?:and|or)\b)/;

/** Whoever is said to call a file must import it; a claim that names no file cannot be checked, so it may not be there. */
export function headerFaults(files: ReadonlyMap<string, string>): string[] {
  const importers = importersOf(files);
  return [...files].flatMap(([file, text]) => {
    const header = (HEADER.exec(text)?.[0] ?? '').replaceAll(/\n\s*\*?\s?/g, ' ');
    return [...header.matchAll(CLAIM)].flatMap(({ index, 0: claim }) =>
      claimFaults(file, header.slice(index + claim.length), importers.get(file) ?? new Set()).map(
        (fault) => `${file}:1 says "${claim}" and ${fault}`,
      ),
    );
  });
}

function claimFaults(file: string, after: string, importers: ReadonlySet<string>): string[] {
  const [, names = '', alone] = NAMES.exec(after) ?? [];
  const callers = [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  if (callers.length === 0) return ['names no files in backticks; say what the file is for instead.'];
  const is = (importer: string, name: string): boolean => isCalled(importer, name, file);
  const wrong = callers.filter((name) => ![...importers].some((importer) => is(importer, name)));
  const others = [...importers].filter((importer) => !callers.some((name) => is(importer, name)));
  return [
    ...wrong.map((name) => `names ${name}, which does not import it; correct it or cut it.`),
    ...(alone === undefined ? [] : others.map((other) => `"${alone.trim()}", but ${other} imports it too.`)),
  ];
}

/** Whether this path is what a header calls `name`: the end of it, with or without `.ts`, or a folder above it. */
function isCalled(importer: string, name: string, file: string): boolean {
  const path = name.replace(/^src\//, '').replace(/\.ts$/, '');
  const base = `/${importer.replace(/\.ts$/, '')}`;
  // A name alone is a neighbour's.
  if (!path.includes('/')) return base === `/${posix.dirname(file)}/${path}`;
  return base.endsWith(`/${path}`) || base.includes(`/${path.replace(/\/$/, '')}/`);
}
