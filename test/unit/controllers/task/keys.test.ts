/** The key ring against a client that only counts: how much it asks, and when. */
import { expect, test } from 'vitest';
import type { ApiReply, ApiRequest } from '../../../../src/core/protocol.ts';
import { createKeyRing } from '../../../../src/controllers/task/keys.ts';
import { aSecret, aTask } from '../../../support/builders.ts';

test('Secrets of blocked keys are read a few at once, and of thousands some in each round, the oldest first', async () => {
  let mono = 0;
  let inFlight = 0;
  let most = 0;
  let asked: string[] = [];
  const execute = async (request: ApiRequest): Promise<ApiReply> => {
    const name = 'name' in request ? request.name : '';
    asked.push(name);
    most = Math.max(most, (inFlight += 1));
    await Promise.resolve();
    inFlight -= 1;
    return { ok: true, object: aSecret(name, { 'api-key': `key-of-${name}` }) };
  };
  const log = { debug() {}, info() {}, warn() {}, error() {}, isEnabled: () => false, with: () => log };
  const ring = createKeyRing({ client: { execute }, log, mono: () => mono, onChange: () => {} });
  const names = Array.from({ length: 250 }, (_, index) => `secret-${index}`);
  for (const name of names)
    await ring.read(
      aTask()
        .spec({ apiKeySecretRef: { name, key: 'api-key' } })
        .build(),
    );
  const blocked = new Set(names.map((name) => `key-of-${name}`));
  const round = async (): Promise<string[]> => {
    mono += 10_000;
    asked = [];
    await ring.reread(blocked);
    return asked;
  };
  expect(await round()).toEqual(names.slice(0, 200));
  expect(most).toBe(4);
  expect((await round()).slice(0, 50)).toEqual(names.slice(200));
});
