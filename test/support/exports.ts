/**
 * Who uses an export: what a shipped file exports and no other file imports is a promise to nobody. Takes file texts,
 * returns sentences, as `structure.ts` does. Tests count as users: a rule may be tested by itself. A type that the
 * file's own exports speak of may be exported unused, so that whoever calls them can name it.
 */
import { posix } from 'node:path';
import { findImports, maskSource } from './source-text.ts';

/** What other programs import, and what is generated as a whole. */
const FOR_OTHERS = /^src\/(?:client\/index\.ts|api\/generated\/)/;

const DECLARED = /^export\s+(?:async\s+)?(function\*?|const|let|class|interface|type)\s+([A-Za-z_$][\w$]*)/gm;
const PASSED_ON = /^export\s+(?:type\s+)?\{([^}]*)\}/gm;

/** @param files texts by path, from the root of the repository: everything that may import from src, and src itself */
export function exportFaults(files: ReadonlyMap<string, string>): string[] {
  const used = usedNames(files);
  return [...files]
    .filter(([file]) => file.startsWith('src/') && !FOR_OTHERS.test(file))
    .flatMap(([file, text]) =>
      unusedExports(maskSource(text), used.get(file) ?? new Set()).map(
        (name) => `${file} exports ${name}, which no other file imports; keep it to the file, or delete it.`,
      ),
    );
}

function unusedExports(masked: string, used: ReadonlySet<string>): string[] {
  if (used.has('*')) return [];
  const declared = [...masked.matchAll(DECLARED)].flatMap(([, kind = '', name = '']) => {
    const isType = kind === 'interface' || kind === 'type';
    return used.has(name) || (isType && mentions(masked, name) > 1) ? [] : [name];
  });
  const passedOn = [...masked.matchAll(PASSED_ON)].flatMap(([, names = '']) =>
    namesIn(names)
      .map(({ as }) => as)
      .filter((name) => !used.has(name)),
  );
  return [...declared, ...passedOn];
}

function mentions(masked: string, name: string): number {
  return masked.match(new RegExp(`(?<![.\\w$])${name}(?![\\w$])`, 'g'))?.length ?? 0;
}

/** Names by the file that they are imported from; `*` where a file is imported as a whole. */
function usedNames(files: ReadonlyMap<string, string>): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>();
  for (const [file, text] of files) {
    for (const { specifier, clause } of findImports(text)) {
      if (!specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(file), specifier);
      const names = used.get(target) ?? new Set<string>();
      const braced = /\{([^}]*)\}/.exec(clause)?.[1];
      for (const { name } of namesIn(braced ?? '')) names.add(name);
      // `import * as x`, `export * from`, and imports at run time, whose names are not seen here.
      if (braced === undefined) names.add('*');
      used.set(target, names);
    }
  }
  return used;
}

function namesIn(list: string): { name: string; as: string }[] {
  return list
    .split(',')
    .map((part) => part.trim().replace(/^type\s+/, ''))
    .filter((part) => part !== '')
    .map((part) => part.split(/\s+as\s+/))
    .map(([name = '', as = name]) => ({ name, as }));
}
