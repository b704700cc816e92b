/**
 * Every mutation of a valid manifest is refused by the API server with a message that names the field: types, bounds,
 * patterns, lists of values, required fields, and fields that do not exist. All by dry run, so nothing is stored.
 */
import { beforeAll, describe, expect, test } from 'vitest';

import { CAPTCHA_TYPES } from '../../src/api/names.ts';
import { messageOf, objectOf, type AdminReply } from '../../dev/control-plane/index.ts';
import { admin, createNamespace, pathOf } from '../support/cluster.ts';
import { readDefinition, rootSchema, walkSchema, type Definition, type FieldSchema } from '../support/crd-schema.ts';
import * as manifests from '../support/manifests.ts';
import type { Json } from '../support/manifests.ts';
import { fieldsOf, mutationsOf, type Mutation } from '../support/mutations.ts';

const task = await readDefinition('crds/captchatask.yaml');
const letter = await readDefinition('crds/deadletter.yaml');
const DRY = '?dryRun=All&fieldValidation=Strict';

let namespace = '';
beforeAll(async () => {
  namespace = await createNamespace({ prefix: 'mutate' });
});

function sendTask(object: Json): Promise<AdminReply> {
  return admin.create(`${pathOf('captchatasks', namespace)}${DRY}`, object);
}

function sendLetter(object: Json): Promise<AdminReply> {
  return admin.create(`${pathOf('deadletters', namespace)}${DRY}`, object);
}

function partSchema(definition: Definition, part: 'spec' | 'status'): FieldSchema {
  const schema = rootSchema(definition).properties?.[part];
  if (schema === undefined) throw new Error(`no schema for ${part}`);
  return schema;
}

/** Sends each mutation and returns those that were let through, or refused without naming their field. */
async function faultsOf(mutations: Mutation[], send: (object: Json) => Promise<AdminReply>): Promise<string[]> {
  const missed: string[] = [];
  for (const { field, fault, object } of mutations) {
    const reply = await send(object);
    const named = messageOf(reply).includes(field);
    if ((reply.status !== 422 && reply.status !== 400) || !named) {
      missed.push(`${field} ${fault}: ${reply.status} ${messageOf(reply).slice(0, 300)}`);
    }
  }
  return missed;
}

const bodyFrom = { configMapKeyRef: { name: 'images', key: 'a.png' } };
const secretBody = { secretKeyRef: { name: 'images', key: 'a.png' } };
const TASKS: { name: string; object: Json }[] = [
  ...CAPTCHA_TYPES.map((type) => ({ name: type, object: manifests.taskManifest(type) })),
  {
    name: 'a proxy by its address',
    object: manifests.taskManifest('Turnstile', {
      spec: { proxy: { type: 'HTTP', address: 'user:pass@198.51.100.7:3128' } },
    }),
  },
  { name: 'a full spec', object: manifests.taskManifest('RecaptchaV2', { spec: manifests.FULL_SPEC }) },
  ...[bodyFrom, secretBody].flatMap((source) => [
    {
      name: 'Image elsewhere',
      object: manifests.taskManifest('Image', { spec: { captcha: { type: 'Image', image: { bodyFrom: source } } } }),
    },
    {
      name: 'Grid elsewhere',
      object: manifests.taskManifest('Grid', {
        spec: { captcha: { type: 'Grid', grid: { bodyFrom: source, rows: 4, columns: 4, instructions: 'buses' } } },
      }),
    },
  ]),
];

describe('a CaptchaTask', () => {
  const schema = partSchema(task, 'spec');

  test.each(TASKS)(
    '$name (%#) is accepted as it is, and every mutation of it is refused by name',
    async ({ object }) => {
      objectOf(await sendTask(object));
      const mutations = mutationsOf(object, ['spec'], schema);
      expect(mutations.length).toBeGreaterThan(20);
      expect(await faultsOf(mutations, sendTask)).toEqual([]);
    },
  );

  test('is met in every field of spec by these manifests', () => {
    const met = new Set(TASKS.flatMap(({ object }) => fieldsOf(object['spec'], schema, 'spec')));
    const all = walkSchema(task)
      .map(({ path }) => path)
      .filter((path) => path.startsWith('spec'));
    expect(all.filter((path) => !met.has(path))).toEqual([]);
  });

  test.each(CAPTCHA_TYPES)('of type %s with a field that does not exist is refused by name', async (type) => {
    const object = manifests.taskManifest(type);
    const spec = object['spec'] as { captcha: Json } & Json;
    const member = Object.keys(spec.captcha).find((key) => key !== 'type') ?? '';
    Object.assign(spec, { retries: 3 });
    Object.assign(spec.captcha[member] as Json, { sitekey: 'x' });
    const message = messageOf(await sendTask(object));
    expect(message).toContain('unknown field "spec.retries"');
    expect(message).toContain(`unknown field "spec.captcha.${member}.sitekey"`);
  });

  test('has a status of which every mutation is refused by name', async () => {
    const created = objectOf<Json>(
      await admin.create(pathOf('captchatasks', namespace), manifests.taskManifest('GeeTestV4', { name: 'status' })),
    );
    const path = `${pathOf('captchatasks', namespace, 'status', 'status')}${DRY}`;
    const write = (object: Json): Promise<AdminReply> => admin.replace(path, object);
    const inSecret = { source: 'Poll', attempt: 1, receivedTime: '2026-01-01T00:00:00Z', secretRef: { name: 'a' } };
    for (const change of [{}, { solution: inSecret }]) {
      const object = { ...created, status: { ...manifests.FULL_TASK_STATUS, ...change } };
      objectOf(await write(object));
      expect(await faultsOf(mutationsOf(object, ['status'], partSchema(task, 'status')), write)).toEqual([]);
    }
  });
});

describe('a DeadLetter', () => {
  test('is accepted as it is, and every mutation of it is refused by name', async () => {
    const object = manifests.letterManifest();
    objectOf(await sendLetter(object));
    expect(await faultsOf(mutationsOf(object, ['spec'], partSchema(letter, 'spec')), sendLetter)).toEqual([]);
  });

  test('has a status of which every mutation is refused by name', async () => {
    const created = objectOf<Json>(
      await admin.create(pathOf('deadletters', namespace), manifests.letterManifest({ name: 'status' })),
    );
    const path = `${pathOf('deadletters', namespace, 'status', 'status')}${DRY}`;
    const write = (object: Json): Promise<AdminReply> => admin.replace(path, object);
    const object = { ...created, status: manifests.FULL_LETTER_STATUS };
    objectOf(await write(object));
    expect(await faultsOf(mutationsOf(object, ['status'], partSchema(letter, 'status')), write)).toEqual([]);
  });
});
