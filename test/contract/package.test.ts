/**
 * What a fresh clone relies on: exact versions, a lockfile that works behind any registry, and scripts whose files exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

interface Package {
  name: string;
  version: string;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  exports: Record<string, Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as Package & { files: string[]; workspaces: string[] };
const processes = JSON.parse(read('processes/package.json')) as Pick<Package, 'dependencies'> & { private: boolean };
const wanted = { ...manifest.dependencies, ...manifest.devDependencies, ...processes.dependencies };

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  optionalDependencies?: Record<string, string>;
}
const lock = JSON.parse(read('package-lock.json')) as { version: string; packages: Record<string, Locked> };
/** What comes from a registry: not the package itself and its workspace. */
const locked = Object.entries(lock.packages).filter(([path, { link }]) => path.startsWith('node_modules/') && !link);

describe('dependencies', () => {
  test('are pinned to exact versions', () => {
    expect(Object.entries(wanted).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  test('are locked at those versions', () => {
    for (const [name, version] of Object.entries(wanted)) {
      expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
    }
  });

  test('are locked without the host of a registry', () => {
    expect(locked.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  // Some registries do not have the binaries of platforms that their users do not use; those have no checksum here.
  test('are locked with a checksum, binaries for other platforms aside', () => {
    const unchecked = locked.filter(([, { integrity, optional, os }]) => integrity === undefined && !(optional && os));
    expect(unchecked.map(([path]) => path)).toEqual([]);
  });

  test('are locked for every platform, or npm ci refuses the lockfile', () => {
    const names = new Set(locked.map(([path]) => path.split('node_modules/').at(-1)));
    const binaries = locked.flatMap(([, entry]) => Object.keys(entry.optionalDependencies ?? {}));
    expect(binaries.filter((name) => !names.has(name))).toEqual([]);
  });

  test('of the image run nothing when they are installed', () => {
    const running = locked.filter(([, entry]) => entry.hasInstallScript === true && entry.dev !== true);
    expect(running.map(([path]) => path)).toEqual([]);
  });
});

describe('the package', () => {
  test('has the version of its lockfile and an entry in the changelog', () => {
    expect(lock.version).toBe(manifest.version);
    expect(read('CHANGELOG.md')).toMatch(/^## Unreleased$/m);
  });

  test('has the commands that the documentation names', () => {
    expect(Object.keys(manifest.scripts)).toEqual(
      expect.arrayContaining(['build', 'demo', 'bench', 'test', 'lint', 'typecheck']),
    );
  });

  test('runs only files that exist', () => {
    const files = Object.values(manifest.scripts).flatMap(
      (script) => script.match(/(?:src|scripts|test)\/[\w./-]+\.ts/g) ?? [],
    );
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  test('exports the client, and its source is there', () => {
    const entry = manifest.exports['./client'];
    expect(entry).toEqual({
      source: './src/client/index.ts',
      types: './lib/client/index.d.ts',
      default: './lib/client/index.js',
    });
    expect(existsSync(join(ROOT, entry?.['source'] ?? ''))).toBe(true);
  });

  // What comes with it: test/cluster/package.test.ts installs it into an empty project.
  test('brings a consumer what the client loads, and keeps what the processes load in a workspace', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['js-yaml', 'undici']);
    expect(manifest.files).toEqual(['lib']);
    expect(manifest.workspaces).toEqual(['processes']);
    expect(processes.private).toBe(true);
  });

  test('is shown on its page by the example that a test runs', () => {
    const example = read('examples/solve.mjs');
    expect(read('docs/client.md')).toContain(example.slice(example.indexOf('import ')));
  });

  test('is built by whoever installs it from Git', () => {
    expect(manifest.scripts['prepare']).toBe('tsc -p tsconfig.package.json');
  });
});
