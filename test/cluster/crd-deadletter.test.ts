/**
 * The rules of `crds/deadletter.yaml` on a real API server: for every CEL rule a write that is refused by that very rule
 * (the last test counts them), and the changes that a letter's life needs.
 */
import { beforeAll, describe, expect, test } from 'vitest';

import { messageOf, objectOf, type AdminReply } from '../../dev/control-plane/index.ts';
import { admin, createNamespace, pathOf } from '../support/cluster.ts';
import { readDefinition, walkSchema } from '../support/crd-schema.ts';
import { FULL_LETTER_STATUS, letterManifest, type Json } from '../support/manifests.ts';

interface Stored {
  metadata: { name: string };
  spec: Json;
  status?: Json;
}

const RULES = {
  spec: 'spec is immutable',
  removed: 'status must not be removed',
  phase: 'status.phase is final once it is Resolved',
  attempts: 'status.attempts never decreases and is never removed',
  redrives: 'status.redrives never decreases and is never removed',
};

let namespace = '';
let count = 0;
beforeAll(async () => {
  namespace = await createNamespace({ prefix: 'crd' });
});

async function createLetter(): Promise<Stored> {
  count += 1;
  return objectOf<Stored>(
    await admin.create(pathOf('deadletters', namespace), letterManifest({ name: `letter-${count}` })),
  );
}

function writeStatus(letter: Stored, status: Json | undefined): Promise<AdminReply> {
  const { status: _, ...rest } = letter;
  const path = pathOf('deadletters', namespace, letter.metadata.name, 'status');
  return admin.replace(path, status === undefined ? rest : { ...rest, status });
}

function expectRefused(reply: AdminReply, message: string): void {
  expect({ status: reply.status, message: messageOf(reply) }).toEqual({
    status: 422,
    message: expect.stringContaining(message) as string,
  });
}

const time = '2026-01-01T00:00:00Z';
const pending = { phase: 'Pending', attempts: 3, nextRetryTime: time };
const resolved = { phase: 'Resolved', attempts: 4, completionTime: time };
const abandoned = { phase: 'Abandoned', attempts: 30, completionTime: time };
const redriven = { ...pending, attempts: 30, redrives: 1, lastRedrive: { value: 'a', time } };

const REFUSED_STATUSES: { name: string; from: Json; to: Json | undefined; message: string }[] = [
  { name: 'status removed', from: pending, to: undefined, message: RULES.removed },
  { name: 'Resolved to Pending', from: resolved, to: { ...resolved, phase: 'Pending' }, message: RULES.phase },
  { name: 'Resolved to Superseded', from: resolved, to: { ...resolved, phase: 'Superseded' }, message: RULES.phase },
  { name: 'Resolved removed', from: resolved, to: { attempts: 4 }, message: RULES.phase },
  { name: 'fewer attempts', from: pending, to: { ...pending, attempts: 2 }, message: RULES.attempts },
  { name: 'attempts removed', from: pending, to: { phase: 'Pending' }, message: RULES.attempts },
  { name: 'fewer redrives', from: redriven, to: { ...redriven, redrives: 0 }, message: RULES.redrives },
  { name: 'redrives removed', from: redriven, to: { ...pending, attempts: 30 }, message: RULES.redrives },
];

describe('a letter', () => {
  test('is accepted with every field', async () => {
    const letter = await createLetter();
    expect(letter.spec).toEqual(letterManifest()['spec']);
    const written = objectOf<Stored>(await writeStatus(letter, FULL_LETTER_STATUS));
    expect(written.status).toEqual(FULL_LETTER_STATUS);
  });

  test.each([
    { name: 'payload', change: { payload: { code: 'other' } } },
    { name: 'taskRef', change: { taskRef: { uid: 'other' } } },
    { name: 'error', change: { error: { class: 'Quota' } } },
    { name: 'contentExpiresTime, removed', change: { contentExpiresTime: null } },
  ])('keeps its spec: $name', async ({ change }) => {
    const letter = await createLetter();
    const path = pathOf('deadletters', namespace, letter.metadata.name);
    expectRefused(await admin.patch(path, { spec: change }, 'merge'), RULES.spec);
  });

  test('can be annotated by hand, to be redriven, whatever its phase', async () => {
    for (const status of [pending, resolved, abandoned]) {
      const letter = objectOf<Stored>(await writeStatus(await createLetter(), status));
      const annotations = { 'captcha-operator.io/retry': '1' };
      const path = pathOf('deadletters', namespace, letter.metadata.name);
      objectOf(await admin.patch(path, { metadata: { annotations } }, 'merge'));
    }
  });
});

describe('a change of status', () => {
  test.each(REFUSED_STATUSES)('is refused: $name', async ({ from, to, message }) => {
    const letter = objectOf<Stored>(await writeStatus(await createLetter(), from));
    expectRefused(await writeStatus(letter, to), message);
  });

  test.each([
    { name: 'a first status', from: undefined, to: pending },
    { name: 'one more retry', from: pending, to: { ...pending, attempts: 4 } },
    { name: 'resolved', from: pending, to: resolved },
    { name: 'abandoned', from: pending, to: abandoned },
    { name: 'redriven after it was abandoned', from: abandoned, to: redriven },
    { name: 'redriven after it was superseded', from: { ...abandoned, phase: 'Superseded' }, to: redriven },
    { name: 'the same status again', from: resolved, to: resolved },
  ])('is accepted: $name', async ({ from, to }) => {
    const created = await createLetter();
    const letter = from === undefined ? created : objectOf<Stored>(await writeStatus(created, from));
    expect(objectOf<Stored>(await writeStatus(letter, to)).status).toEqual(to);
  });
});

describe('this file', () => {
  test('has a refused write for every rule of the schema, known by its message', async () => {
    const definition = await readDefinition('crds/deadletter.yaml');
    const rules = walkSchema(definition).flatMap(({ schema }) => schema['x-kubernetes-validations'] ?? []);
    const tested = [RULES.spec, ...REFUSED_STATUSES.map(({ message }) => message)];
    expect(rules.filter(({ message }) => !tested.some((text) => message.startsWith(text)))).toEqual([]);
    expect(new Set(rules.map(({ message }) => message)).size).toBe(rules.length);
  });
});
