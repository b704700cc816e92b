/**
 * The rank line, the purity of core/ and the owners of the big libraries, checked over every file of src. The second
 * half plants one mistake at a time, so that this test is known to be able to fail.
 */
import { describe, expect, test } from 'vitest';
import { findImports, maskSource } from '../support/source-text.ts';
import { readTrees } from '../support/source-tree.ts';
import { checkStructure } from '../support/structure.ts';

describe('the source tree', () => {
  test('keeps the rank line, the purity of core and the owners of libraries', () => {
    const sources = readTrees('src', 'dev');
    expect(sources.size).toBeGreaterThan(10);
    expect(checkStructure(sources).join('\n')).toBe('');
  });
});

/** A tree in which everything is right, with one or more files added or replaced. */
function plant(files: Record<string, string>): string[] {
  const sound = {
    'src/api/names.ts': 'export const A = 1;',
    'src/core/decide.ts': "import { A } from '../api/names.ts';\nexport const decide = () => A;",
    'src/kube/client.ts': "import { request } from 'undici';\nexport const client = request;",
    'src/ops/log.ts': 'export const log = 1;',
    'src/controllers/loop.ts':
      "import { decide } from '../core/decide.ts';\nimport { client } from '../kube/client.ts';\nexport const loop = [decide, client];",
    'src/bin/operator.ts':
      "import { loop } from '../controllers/loop.ts';\nprocess.env['A'] ?? process.exit(loop.length);",
  };
  const withComments = Object.entries({ ...sound, ...files }).map(([file, text]): [string, string] => [
    file,
    text.startsWith('//-') ? text.slice(3) : `// What it is for.\n${text}`,
  ]);
  return checkStructure(new Map(withComments));
}

describe('the structure check finds', () => {
  test('nothing in a sound tree', () => {
    expect(plant({})).toEqual([]);
  });

  const mistakes: [rule: string, file: string, text: string, expected: RegExp][] = [
    [
      'an import that points right',
      'src/core/x.ts',
      "import { loop } from '../controllers/loop.ts';",
      /^src\/core\/x\.ts:2 .*imports point left only .*pass it in/,
    ],
    [
      'an import of types that points right',
      'src/api/x.ts',
      "import type { D } from '../core/decide.ts';",
      /^src\/api\/x\.ts:2 .*imports point left only/,
    ],
    [
      'a re-export that points right',
      'src/core/x.ts',
      "export * from '../controllers/loop.ts';",
      /imports point left only/,
    ],
    [
      'a dynamic import that points right',
      'src/core/x.ts',
      "export const x = import('../controllers/loop.ts');",
      /imports point left only/,
    ],
    [
      'a sibling that imports its sibling',
      'src/provider/x.ts',
      "import { client } from '../kube/client.ts';",
      /provider\/ and kube\/ are siblings/,
    ],
    [
      'callback importing controllers',
      'src/callback/x.ts',
      "import { loop } from '../controllers/loop.ts';",
      /are siblings; let the room above them \(cli\/, bin\/\)/,
    ],
    [
      'kube importing more of ours than waiting and the words for requests',
      'src/kube/x.ts',
      "import type { A } from '../api/names.ts';",
      /kube\/ imports only waiting\/ and api\/requests\.ts/,
    ],
    [
      'src importing dev',
      'src/core/x.ts',
      "import { child } from '../../dev/child.ts';",
      /outside src; what src needs lives in src/,
    ],
    [
      'dev importing a process',
      'dev/x.ts',
      "import { operator } from '../src/bin/operator.ts';",
      /bin\/ is for processes; start it as one/,
    ],
    [
      'the client importing rules',
      'src/client/x.ts',
      "import { decide } from '../core/decide.ts';",
      /client\/ imports only waiting\/ and api\/ and kube\//,
    ],
    ['a file in no room', 'src/stray/x.ts', 'export const x = 1;', /in no room of the rank line/],
    ['a file right under src', 'src/x.ts', 'export const x = 1;', /in no room of the rank line/],
    [
      'src importing test',
      'dev/x.ts',
      "import { aTask } from '../test/support/builders.ts';",
      /src never imports test/,
    ],
    [
      'an import of a file that is not there',
      'src/core/x.ts',
      "import { y } from './y.ts';",
      /there is no src\/core\/y\.ts/,
    ],
    [
      'a third-party import in core',
      'src/core/x.ts',
      "import { z } from 'zod';",
      /core\/ is pure and imports no library/,
    ],
    [
      'a type of a third party in core',
      'src/core/x.ts',
      "import type { z } from 'zod';",
      /core\/ is pure and imports no library/,
    ],
    [
      'a node: import in core',
      'src/core/x.ts',
      "import {\n  createHmac,\n} from 'node:crypto';",
      /^src\/core\/x\.ts:2 .*node:crypto/,
    ],
    [
      'randomness beside createHash in core',
      'src/core/x.ts',
      "import { createHash, randomBytes } from 'node:crypto';",
      /core\/ is pure and imports no library/,
    ],
    [
      'all of node:crypto in core',
      'src/waiting/x.ts',
      "import * as crypto from 'node:crypto';",
      /waiting\/ is pure and imports no library/,
    ],
    [
      'another name for createHash in core',
      'src/core/x.ts',
      "import { createHash as hash } from 'node:crypto';",
      /core\/ is pure and imports no library/,
    ],
    [
      'node:crypto at run time in core',
      'src/core/x.ts',
      "export const x = import('node:crypto');",
      /core\/ is pure and imports no library/,
    ],
    ['a side-effect import in core', 'src/core/x.ts', "import 'node:fs';", /node:fs/],
    ['process in core', 'src/core/x.ts', 'export const x = process.platform;', /uses process/],
    ['a timer in core', 'src/core/x.ts', 'setTimeout(() => 1, 1);', /uses a timer.*wakeInMs/],
    ['Date.now in core', 'src/core/x.ts', 'export const x = Date.now();', /uses Date\.now/],
    ['new Date() in core', 'src/core/x.ts', 'export const x = new Date();', /uses new Date without argument/],
    ['new Date; in core', 'src/core/x.ts', 'export const x = new Date;', /uses new Date without argument/],
    ['Math.random in core', 'src/core/x.ts', 'export const x = Math.random();', /uses Math\.random/],
    ['async in core', 'src/core/x.ts', 'export const x = async () => 1;', /uses async code/],
    ['console in core', 'src/core/x.ts', 'console.log(1);', /uses console/],
    ['impurity inside a template', 'src/core/x.ts', 'export const x = `at ${Date.now()}`;', /uses Date\.now/],
    [
      'the Kubernetes client outside kube',
      'src/ops/x.ts',
      "import { KubeConfig } from '@kubernetes/client-node';",
      /only kube\/ may/,
    ],
    [
      'a deep import of the Kubernetes client',
      'dev/x.ts',
      "import { X } from '@kubernetes/client-node/dist/config.js';",
      /only kube\/ may/,
    ],
    [
      'inline types that still load the client',
      'dev/x.ts',
      "import { type V1Pod } from '@kubernetes/client-node';",
      /only kube\/ may/,
    ],
    ['node-fetch outside provider', 'src/kube/x.ts', "import fetch from 'node-fetch';", /only provider\/ may/],
    ['Koa in a controller', 'src/controllers/x.ts', "import Koa from 'koa';", /only callback\/ and gateway\/ may/],
    ['the Koa router in ops', 'src/ops/x.ts', "import Router from '@koa/router';", /only callback\/ and gateway\/ may/],
    [
      'process.env outside bin',
      'src/ops/x.ts',
      "export const x = process.env['HOME'];",
      /reads the environment; only bin\//,
    ],
    ['process.exit outside bin', 'src/controllers/x.ts', 'process.exit(1);', /ends the process; only bin\//],
    ['a default export', 'src/ops/x.ts', 'export default 1;', /default export; export it by name/],
    ['a vague name', 'src/ops/utils.ts', 'export const x = 1;', /a name that says nothing/],
    ['a file without an opening comment', 'src/ops/x.ts', '//-export const x = 1;', /does not open with a comment/],
  ];
  test.each(mistakes)('%s', (_rule, file, text, expected) => {
    expect(plant({ [file]: text })).toEqual([expect.stringMatching(expected)]);
  });

  test('a cycle, once, with the line that closes it', () => {
    const found = plant({
      'src/core/a.ts': "import { b } from './b.ts';\nexport const a = b;",
      'src/core/b.ts': "import { c } from './c.ts';\nexport const b = c;",
      'src/core/c.ts': "\nimport type { A } from './a.ts';\nexport const c = 1;",
    });
    expect(found).toEqual([
      expect.stringMatching(/^src\/core\/c\.ts:3 closes the import cycle .*a\.ts -> .*b\.ts -> .*c\.ts -> .*a\.ts/),
    ]);
  });
});

describe('the structure check accepts', () => {
  const fine: [rule: string, file: string, text: string][] = [
    [
      'the types of the Kubernetes client anywhere',
      'dev/x.ts',
      "import type { V1Pod } from '@kubernetes/client-node';",
    ],
    ['the Kubernetes client in kube', 'src/kube/x.ts', "export const x = () => import('@kubernetes/client-node');"],
    ['Koa in callback', 'src/callback/x.ts', "import Koa from 'koa';\nexport const app = new Koa();"],
    ['node-fetch in provider', 'src/provider/x.ts', "import fetch from 'node-fetch';\nexport const f = fetch;"],
    [
      'the client on api and kube',
      'src/client/x.ts',
      "import { A } from '../api/names.ts';\nimport { client } from '../kube/client.ts';\nexport const x = [A, client];",
    ],
    [
      'impure words in comments, strings and regular expressions',
      'src/core/x.ts',
      "/* Date.now */ // process.env\nexport const x = ['Math.random', /console.log(['\"`])/, `async ${'setTimeout'}`];",
    ],
    [
      'impure words as property names',
      'src/core/x.ts',
      'export const x = (t: { process: number; async: boolean }) => t.process;',
    ],
    ['a date made from a number', 'src/core/x.ts', 'export const x = (now: number) => new Date(now).toISOString();'],
    [
      'createHash of node:crypto in core',
      'src/core/x.ts',
      "import { createHash } from 'node:crypto';\nexport const x = createHash('sha256');",
    ],
    ['imports shown in comments', 'src/core/x.ts', "// import { z } from 'zod';\nexport const x = 1;"],
  ];
  test.each(fine)('%s', (_rule, file, text) => {
    expect(plant({ [file]: text })).toEqual([]);
  });
});

describe('the scanner', () => {
  test('keeps every offset and line', () => {
    const source = "const a = 'x\\'y'; // note\n/* a\nb */ const b = `p${a + `q${'r'}`}s` / 2 / 1;";
    const masked = maskSource(source);
    expect(masked).toHaveLength(source.length);
    expect(masked.split('\n')).toHaveLength(3);
    expect(masked).not.toMatch(/note|['"`}] *[pqrsxy]/);
    expect(masked).toContain('/ 2 / 1;');
  });

  test('reads every form of import with its line', () => {
    const source = [
      "import a from 'a';",
      'import * as b from "b";',
      "import {\n  c,\n  type C,\n} from 'c';",
      "import type { D } from 'd';",
      "import 'e';",
      "export { f } from 'f';",
      "export type { G } from 'g';",
      "export * from 'h';",
      'const i = await import(`i`);',
      "export const from = 'not an import';",
      'const url = import.meta.url;',
      "import type from 'j';",
    ].join('\n');
    const found = findImports(source);
    expect(found.map((one) => one.specifier)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']);
    expect(found.filter((one) => one.typeOnly).map((one) => one.specifier)).toEqual(['d', 'g']);
    expect(found.map((one) => one.line)).toEqual([1, 2, 3, 7, 8, 9, 10, 11, 12, 15]);
  });
});
