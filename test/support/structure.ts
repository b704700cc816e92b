/**
 * The shape of `src` and `dev` as rules a machine can check: which room may import which, what the pure rooms may not
 * touch, who may load the big libraries. Takes file texts, returns sentences; `test/contract/structure.test.ts` runs it
 * over the real tree and over planted mistakes. The rank line is explained in ARCHITECTURE.md; change both together.
 */
import { posix } from 'node:path';
import { findImports, lineOf, maskSource, type Import } from './source-text.ts';

/** Left may not import right; rooms in one group are siblings and may not import each other. */
export const RANKS: readonly (readonly string[])[] = [
  ['waiting'],
  ['api'],
  ['core'],
  ['kube', 'provider', 'ops'],
  ['controllers', 'callback', 'gateway', 'client'],
  ['cli'],
  ['bin'],
];
/** Beside `src`, ships nothing: may import all of it but the processes. Nothing of `src` may import it. */
const DEV = 'dev';
/** Values in, values out: no I/O, no clock, no chance. */
const PURE: readonly string[] = ['waiting', 'core'];

/** Rooms that may import less of ours than their rank allows: rooms, or single files. */
const MAY_ONLY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kube: ['waiting', 'api/requests.ts'],
  client: ['waiting', 'api', 'kube'],
  cli: ['waiting', 'api', 'kube', 'client'],
};

/** Functions of a library that are values in, values out: a pure room may import these names and nothing beside them. */
const PURE_IMPORTS: Readonly<Record<string, string>> = { 'node:crypto': '{ createHash }' };

interface LibraryRule {
  pattern: RegExp;
  allowed: (file: string) => boolean;
  owner: string;
  /** Whether `import type` is fine anywhere outside core. */
  typesAside: boolean;
}

const LIBRARIES: readonly LibraryRule[] = [
  {
    pattern: /^@kubernetes\/client-node(\/|$)/,
    allowed: (file) => roomOf(file) === 'kube',
    owner: 'kube/',
    typesAside: true,
  },
  {
    pattern: /^node-fetch(\/|$)/,
    allowed: (file) => roomOf(file) === 'provider',
    owner: 'provider/',
    typesAside: false,
  },
  {
    pattern: /^(koa|koa-.*|@koa\/.*)(\/|$)/,
    allowed: (file) => ['callback', 'gateway'].includes(roomOf(file)),
    owner: 'callback/ and gateway/',
    typesAside: false,
  },
];

const IMPURE: readonly { pattern: RegExp; name: string; instead: string }[] = [
  { pattern: /(?<![.\w$])process\b(?!\s*[:(?\w])/g, name: 'process', instead: 'take what it knows as an argument' },
  {
    pattern: /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    name: 'a timer',
    instead: 'return a wakeInMs and let the loop wait',
  },
  { pattern: /\bDate\s*\.\s*now\b/g, name: 'Date.now', instead: 'take `now` in epoch milliseconds as an argument' },
  {
    pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?![\s(]))/g,
    name: 'new Date without argument',
    instead: 'take `now` as an argument',
  },
  { pattern: /(?<![.\w$]|new\s)Date\s*\(/g, name: 'Date() of the current time', instead: 'take `now` as an argument' },
  { pattern: /(?<![.\w$])performance\s*\./g, name: 'performance', instead: 'take a monotonic instant as an argument' },
  { pattern: /\bMath\s*\.\s*random\b/g, name: 'Math.random', instead: 'take a number in [0,1) as an argument' },
  { pattern: /(?<![.\w$])crypto\s*\./g, name: 'crypto', instead: 'take the bytes or the MAC as an argument' },
  {
    pattern: /(?<![.\w$])(?:async|await)\b(?!\s*[:?])/g,
    name: 'async code',
    instead: 'write a protocol (core/protocol.ts)',
  },
  { pattern: /(?<![.\w$])fetch\s*\(/g, name: 'fetch', instead: 'yield a request and let the shell send it' },
  { pattern: /(?<![.\w$])console\s*\./g, name: 'console', instead: 'return what should be said; ops/log says it' },
  { pattern: /(?<![.\w$])globalThis\b/g, name: 'globalThis', instead: 'take what you need as an argument' },
];

const VAGUE_NAME = /(?:^|\/)(?:utils?|helpers?|common|lib|misc)(?:\/|\.ts$)/;

/** Keys are paths from the repository root (`src/core/callback.ts`), values their text. One sentence per violation. */
export function checkStructure(files: ReadonlyMap<string, string>): string[] {
  const sources = [...files].filter(([file]) => /^(?:src|dev)\//.test(file));
  const imports = new Map(sources.map(([file, text]) => [file, findImports(text)]));
  return [
    ...sources.flatMap(([file, text]) => [
      ...checkText(file, text),
      ...(PURE.includes(roomOf(file)) ? checkPurity(file, text) : []),
    ]),
    ...[...imports].flatMap(([file, list]) => list.flatMap((one) => checkImport(file, one, files))),
    ...checkCycles(imports),
  ];
}

/** `src/core/task/decide.ts` -> `core`, `dev/bin/demo.ts` -> `dev`. A file right under `src` has no room. */
function roomOf(file: string): string {
  if (file.startsWith(`${DEV}/`)) return DEV;
  return file.split('/').length > 2 ? (file.split('/')[1] ?? '') : '';
}

/** The door of a package: nothing of ours stands above it that could pass the environment in. */
const READS_ENVIRONMENT: readonly string[] = ['src/client/index.ts'];

/** Whether argv, environment and `process.exit` are its business. */
function isProcess(file: string): boolean {
  return roomOf(file) === 'bin' || file.startsWith(`${DEV}/bin/`);
}

function rankOf(file: string): number {
  return RANKS.findIndex((group) => group.includes(roomOf(file)));
}

function checkText(file: string, text: string): string[] {
  const masked = maskSource(text);
  const found: string[] = [];
  const report = (pattern: RegExp, sentence: string): void => {
    for (const match of masked.matchAll(pattern)) found.push(`${file}:${lineOf(text, match.index)} ${sentence}`);
  };
  if (rankOf(file) === -1 && roomOf(file) !== DEV) {
    found.push(`${file}:1 is in no room of the rank line; put it into one of: ${RANKS.flat().join(', ')}.`);
  }
  if (VAGUE_NAME.test(file)) found.push(`${file}:1 has a name that says nothing; name it after what it does.`);
  if (!/^(?:#!.*\n)?\s*\/[/*]/.test(text)) {
    found.push(`${file}:1 does not open with a comment; say what it is for and what it refuses to do.`);
  }
  report(/\bexport\s+default\b|\bas\s+default\b/g, 'has a default export; export it by name.');
  if (!isProcess(file)) {
    const outside = READS_ENVIRONMENT.includes(file) ? /\bprocess\s*\.\s*argv\b/g : /\bprocess\s*\.\s*(?:env|argv)\b/g;
    report(outside, 'reads the environment; only bin/ does, pass the value in as an argument.');
    report(/\bprocess\s*\.\s*(?:exit|abort)\b/g, 'ends the process; only bin/ does, return or throw instead.');
  }
  return found;
}

function checkPurity(file: string, text: string): string[] {
  const masked = maskSource(text);
  return IMPURE.flatMap(({ pattern, name, instead }) =>
    [...masked.matchAll(pattern)].map(
      (match) => `${file}:${lineOf(text, match.index)} uses ${name}, but ${roomOf(file)}/ is pure; ${instead}.`,
    ),
  );
}

function checkImport(file: string, imported: Import, files: ReadonlyMap<string, string>): string[] {
  const { specifier } = imported;
  const here = `${file}:${imported.line} imports '${specifier}'`;
  if (!specifier.startsWith('.')) return checkLibrary(here, file, imported);
  const target = posix.join(posix.dirname(file), specifier);
  if (target.startsWith('test/')) return [`${here}: src never imports test; move what both need into dev/.`];
  // package.json is data beside src: its version is the build's version.
  if (target === 'package.json') return [];
  const isDev = roomOf(file) === DEV;
  if (!target.startsWith('src/') && !(isDev && target.startsWith(`${DEV}/`))) {
    return [`${here}, outside src; what src needs lives in src.`];
  }
  if (!files.has(target)) return [`${here}, but there is no ${target}; write the path with its .ts ending.`];
  return checkRank(here, file, target);
}

function checkLibrary(here: string, file: string, { specifier, typeOnly, clause }: Import): string[] {
  if (PURE.includes(roomOf(file))) {
    if (PURE_IMPORTS[specifier] === clause) return [];
    return [`${here}, but ${roomOf(file)}/ is pure and imports no library; take what you need from it as an argument.`];
  }
  return LIBRARIES.filter(
    (rule) => rule.pattern.test(specifier) && !rule.allowed(file) && !(rule.typesAside && typeOnly),
  ).map((rule) => `${here}, which only ${rule.owner} may; move the code there or ask that room for a function.`);
}

function checkRank(here: string, file: string, target: string): string[] {
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === to) return [];
  if (from === DEV) {
    return to === 'bin' ? [`${here}, but bin/ is for processes; start it as one, or move the shared part down.`] : [];
  }
  const allowed = MAY_ONLY_IMPORT[from];
  if (allowed !== undefined && !allowed.some((one) => one === to || target === `src/${one}`)) {
    const what = `only ${allowed.map((one) => (one.endsWith('.ts') ? one : `${one}/`)).join(' and ')}`;
    return [`${here}, but ${from}/ imports ${what}; declare the shape it needs, or pass it in.`];
  }
  if (rankOf(file) === rankOf(target)) {
    return [`${here}, but ${from}/ and ${to}/ are siblings; let the room above them (${roomsAbove(file)}) join them.`];
  }
  if (rankOf(file) < rankOf(target)) {
    return [
      `${here}, but imports point left only (${to}/ is above ${from}/); move the shared part down, or pass it in.`,
    ];
  }
  return [];
}

function roomsAbove(file: string): string {
  return RANKS.slice(rankOf(file) + 1)
    .flat()
    .map((room) => `${room}/`)
    .join(', ');
}

/** Each cycle once, named from its alphabetically first file. Types count: a cycle of types is a cycle of ideas. */
function checkCycles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const found = new Map<string, string>();
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      const cycle = path.slice(start);
      const key = cycle.toSorted().join();
      const line =
        imports.get(path.at(-1) ?? '')?.find((one) => resolveFrom(path.at(-1) ?? '', one) === file)?.line ?? 1;
      found.set(
        key,
        `${path.at(-1)}:${line} closes the import cycle ${[...cycle, file].join(' -> ')}; move what they share into a third file.`,
      );
      return;
    }
    if (done.has(file)) return;
    for (const one of imports.get(file) ?? []) {
      const target = resolveFrom(file, one);
      if (imports.has(target)) visit(target, [...path, file]);
    }
    done.add(file);
  };
  for (const file of [...imports.keys()].toSorted()) visit(file, []);
  return [...found.values()];
}

function resolveFrom(file: string, { specifier }: Import): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
}
