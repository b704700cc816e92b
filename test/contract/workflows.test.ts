/** What .github/workflows may use: actions by their commit, each at one version, and nothing from a cache in a release. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const FOLDER = new URL('../../.github/workflows/', import.meta.url);
const names = readdirSync(FOLDER);
const read = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8');
const uses = names.flatMap((name) =>
  [...read(name).matchAll(/uses: (\S+)(.*)/g)].map(([, action, rest]) => ({ name, action: action ?? '', rest })),
);

describe('the workflows', () => {
  test('name every action by its commit, with the version beside it', () => {
    expect(uses.length).toBeGreaterThan(10);
    expect(
      uses.filter(({ action, rest }) => !/@[0-9a-f]{40}$/.test(action) || !/^ # v\d+\.\d+\.\d+$/.test(rest ?? '')),
    ).toEqual([]);
  });

  test('use each action at one version', () => {
    const versions = new Map<string, Set<string>>();
    for (const { action } of uses) {
      const [path = '', commit = ''] = action.split('@');
      versions.set(path, (versions.get(path) ?? new Set()).add(commit));
    }
    expect([...versions].filter(([, commits]) => commits.size > 1)).toEqual([]);
  });

  test('of a release restore nothing that another run could have written, and keep no login in the work tree', () => {
    const text = read('release.yaml');
    expect(text).not.toMatch(/actions\/cache|cache-from|cache: npm/);
    expect(text.match(/actions\/setup-node@/g)?.length).toBe(text.match(/package-manager-cache: false/g)?.length);
    expect(text.match(/actions\/checkout@/g)?.length).toBe(text.match(/persist-credentials: false/g)?.length);
  });

  test('put nothing of the run into a shell but by its environment', () => {
    const scripts = names.flatMap((name) =>
      [...read(name).matchAll(/run: (?:\|\n((?: {10,}.*\n|\n)+)|(.*))/g)].map(([, block, line]) => block ?? line),
    );
    expect(scripts.length).toBeGreaterThan(8);
    expect(scripts.filter((script) => script?.includes('${{'))).toEqual([]);
  });
});
