/** What examples/ and the pages tell people to do: schemas as the CRDs generate them, recipes that end on failure. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { schemaFiles } from '../../scripts/generate-schemas.ts';
import { aTask } from '../support/builders.ts';
import { ROOT } from '../support/kubectl.ts';
import { aLetter } from '../support/letters.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const FILES = schemaFiles();
// The formats of OpenAPI (int32, date-time) are for the API server; editors that do not know them pass them over too.
const ajv = new Ajv({ strict: false, validateFormats: false });
const checkTask = ajv.compile(JSON.parse(FILES.get('captchatask_v1alpha1.json') ?? '') as object);
const checkLetter = ajv.compile(JSON.parse(FILES.get('deadletter_v1alpha1.json') ?? '') as object);

describe('the schemas for editors', () => {
  test('are what the CRDs generate, and no others (run `npm run generate:schemas`)', () => {
    expect(readdirSync(join(ROOT, 'docs/schemas')).toSorted()).toEqual([...FILES.keys()].toSorted());
    for (const [name, text] of FILES) expect(read(`docs/schemas/${name}`)).toBe(text);
  });

  test('accept every task of the examples, and objects as the product writes them', () => {
    const manifests = ['task', 'tasks', 'job'].flatMap((name) =>
      parseAllDocuments(read(`examples/${name}.yaml`)).map((document) => document.toJS() as { kind: string }),
    );
    const tasks = manifests.filter(({ kind }) => kind === 'CaptchaTask');
    expect(tasks.length).toBeGreaterThan(5);
    for (const task of [...tasks, aTask().intended().submitted().solved().build(), aTask().intended().failed().build()])
      expect([checkTask(task), checkTask.errors]).toEqual([true, null]);
    expect([checkLetter(aLetter().introduced().build()), checkLetter.errors]).toEqual([true, null]);
  });

  test.each([
    ['a field that does not exist', { ...aTask().build().spec, siteKey: 'x' }],
    ['a wrong type of captcha', { captcha: { type: 'Captcha' } }],
    ['text where a number is due', { ...aTask().build().spec, backoffLimit: 'one' }],
  ])('refuse %s', (_, spec) => {
    expect(checkTask({ ...aTask().build(), spec })).toBe(false);
  });
});

describe('what people are told to wait for', () => {
  const pages = [
    'README.md',
    ...readdirSync(join(ROOT, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
  const examples = ['task.yaml', 'tasks.yaml', 'job.yaml', 'shell/solve.sh'].map((name) => `examples/${name}`);

  test.each([...pages, ...examples, 'crds/captchatask.yaml'])(
    '%s has no command that waits in vain for a failed task',
    (path) => {
      expect(read(path)).not.toMatch(/^[#$ ]*kubectl wait --for=condition=Solved/m);
    },
  );

  test('the short recipe is where a beginner looks', () => {
    for (const path of ['README.md', 'docs/concepts.md', 'examples/task.yaml', 'crds/captchatask.yaml'])
      expect(read(path)).toContain("--for=jsonpath='{.status.completionTime}'");
  });
});

describe('the keys for k9s', () => {
  const { plugins } = parse(read('examples/k9s-plugins.yaml')) as {
    plugins: Record<string, { scopes: string[]; args: string[] }>;
  };

  test('are for kinds of this product, and quote what k9s puts in', () => {
    const plurals = ['captchatasks', 'deadletters'];
    for (const { scopes, args } of Object.values(plugins)) {
      expect(plurals).toEqual(expect.arrayContaining(scopes));
      expect(args.join(' ').match(/(?<!")\$(?:NAME|NAMESPACE|CONTEXT)/)).toBeNull();
    }
  });
});
