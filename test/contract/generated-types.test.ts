/**
 * The CRDs, the TypeScript types and the closed lists in `names.ts` say the same thing, and the schemas keep the
 * promises that hold for every field: a description, a bound for every string and list, no floats.
 */
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { FIELDS_TARGET, SOURCES, generateFields, generateTypes } from '../../scripts/generate-types.ts';
import {
  API_VERSION,
  CAPTCHA_TASK,
  CAPTCHA_TYPES,
  DEAD_LETTER,
  FAILURE_CLASSES,
  LETTER_ERROR_CLASSES,
  LETTER_PHASES,
  LETTER_STAGES,
  MAX_LETTER_CODE_LENGTH,
  MAX_SOLUTION_BYTES,
  RESULT_SOURCES,
  TASK_PHASES,
} from '../../src/api/names.ts';
import { readDefinition, schemaAt, walkSchema } from '../support/crd-schema.ts';

const task = await readDefinition('crds/captchatask.yaml');
const letter = await readDefinition('crds/deadletter.yaml');

describe('generated types', () => {
  test.each(SOURCES)('$target is what $crd generates (run `npm run generate:types`)', async ({ crd, target }) => {
    expect(await readFile(new URL(`../../${target}`, import.meta.url), 'utf8')).toBe(await generateTypes(crd));
  });
});

test(`${FIELDS_TARGET} is what the CRD generates (run \`npm run generate:types\`)`, async () => {
  expect(await readFile(new URL(`../../${FIELDS_TARGET}`, import.meta.url), 'utf8')).toBe(await generateFields());
});

describe('names', () => {
  test.each([
    { definition: task, names: CAPTCHA_TASK },
    { definition: letter, names: DEAD_LETTER },
  ])('$names.kind has the group, version and plural that the code asks for', ({ definition, names }) => {
    expect(definition.metadata.name).toBe(`${names.plural}.${names.group}`);
    expect(definition.spec).toMatchObject({ group: names.group, names: { kind: names.kind, plural: names.plural } });
    expect(`${names.group}/${definition.spec.versions[0]?.name}`).toBe(API_VERSION);
  });

  test.each([
    { definition: task, path: 'spec.captcha.type', list: CAPTCHA_TYPES },
    { definition: task, path: 'status.phase', list: TASK_PHASES },
    { definition: task, path: 'status.failure.class', list: FAILURE_CLASSES },
    { definition: task, path: 'status.solution.source', list: RESULT_SOURCES },
    { definition: letter, path: 'status.phase', list: LETTER_PHASES },
    { definition: letter, path: 'spec.stage', list: LETTER_STAGES },
    { definition: letter, path: 'spec.error.class', list: LETTER_ERROR_CLASSES },
    { definition: letter, path: 'status.lastError.class', list: LETTER_ERROR_CLASSES },
  ])('$definition.spec.names.kind $path allows exactly the values of the code', ({ definition, path, list }) => {
    expect(schemaAt(definition, path).enum).toEqual([...list]);
  });

  test('bounds a solution and a letter by what the code keeps to', () => {
    expect(schemaAt(task, 'status.solution.value').maxLength).toBe(MAX_SOLUTION_BYTES);
    expect(schemaAt(letter, 'spec.payload.code').maxLength).toBe(MAX_LETTER_CODE_LENGTH);
  });
});

describe.each([{ definition: task }, { definition: letter }])(
  'the schema of $definition.spec.names.kind',
  ({ definition }) => {
    const fields = walkSchema(definition).filter(({ path }) => path !== 'metadata' && path !== '');

    test('describes every field', () => {
      expect(fields.filter(({ schema }) => !schema.description).map(({ path }) => path)).toEqual([]);
    });

    test('bounds every string by a length or a list of values', () => {
      const unbounded = fields.filter(({ schema }) => schema.type === 'string' && !schema.enum && !schema.maxLength);
      expect(unbounded.map(({ path }) => path)).toEqual([]);
    });

    test('bounds every list and every map', () => {
      const lists = fields.filter(({ schema }) => schema.type === 'array' && schema.maxItems === undefined);
      const maps = fields.filter(({ schema }) => schema.additionalProperties && schema.maxProperties === undefined);
      expect([...lists, ...maps].map(({ path }) => path)).toEqual([]);
    });

    test('has no floats', () => {
      expect(fields.filter(({ schema }) => schema.type === 'number').map(({ path }) => path)).toEqual([]);
    });
  },
);
