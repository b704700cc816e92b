/**
 * What each process loads from packages when it starts. A package is memory in every pod for as long as it runs, and
 * time at each start: whoever adds one here has measured it, and what only some users need is imported late.
 */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

import { describe, expect, test } from 'vitest';

import { findImports } from '../support/source-text.ts';

/** Everything that the entry imports before it runs, directly or not; `import()` is what comes later. */
function packagesOf(entry: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { specifier, typeOnly, clause } of findImports(readFileSync(file, 'utf8'))) {
      if (typeOnly || clause === '') continue;
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(file), specifier));
      else if (!specifier.startsWith('node:')) packages.add(specifier);
    }
  };
  visit(entry);
  return [...packages].toSorted();
}

const BOTH = [
  'pino',
  'prom-client/lib/counter.js',
  'prom-client/lib/gauge.js',
  'prom-client/lib/histogram.js',
  'prom-client/lib/registry.js',
  'undici/lib/dispatcher/pool.js',
];

describe('a process loads at its start', () => {
  test('node-fetch in the operator, no Koa, and parts of what would bring more than is used', () => {
    expect(packagesOf('src/bin/operator/main.ts')).toEqual(['node-fetch', ...BOTH]);
  });

  test('Koa in the sidecar, and no client of the provider', () => {
    expect(packagesOf('src/bin/callback/main.ts')).toEqual(['koa', ...BOTH]);
  });

  test('Koa and its router in the gateway, and the parser of uploads with the first of them', () => {
    expect(packagesOf('src/bin/gateway/main.ts')).toEqual(['@koa/router', 'koa', ...BOTH]);
  });
});
