/** Keys on their way through a rotation, with a running sidecar: nothing authentic is refused, nothing else accepted. */
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { createPingbackMinter } from '../../src/core/token.ts';
import { loadCallbackKeys } from '../../src/ops/keys.ts';
import type { CallbackKeys } from '../../src/ops/keys.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { startSidecar, takeDown, temporaryDirectory } from '../support/sidecar.ts';
import type { Sidecar } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let folder: string;
let keys: CallbackKeys;
let sidecar: Sidecar;
const task = aTask().intended(T0).submitted(T0).build();
const line = (kid: string): string => `${kid}:${randomBytes(32).toString('base64')}\n`;
const [old, next] = [line('old'), line('new')];

async function writeKeys(text: string): Promise<void> {
  await writeFile(join(folder, 'next'), text);
  await rename(join(folder, 'next'), join(folder, 'keys'));
}
/** The path of the pingback URL that an operator with this key file would send. */
function mintedPath(): string {
  const mint = createPingbackMinter({ callbackURL: 'http://sidecar', keys });
  return `${new URL(mint(task.metadata, 1)!).pathname}?id=${CAPTCHA_ID}&code=x`;
}

/** The same with a key that the sidecar never sees. */
async function mintedPathOf(text: string): Promise<string> {
  await writeFile(join(folder, 'elsewhere'), text);
  const others = await loadCallbackKeys({ path: join(folder, 'elsewhere') });
  others.stop();
  const mint = createPingbackMinter({ callbackURL: 'http://sidecar', keys: others });
  return `${new URL(mint(task.metadata, 1)!).pathname}?id=${CAPTCHA_ID}&code=x`;
}

beforeEach(async () => {
  folder = await temporaryDirectory();
  keys = await loadCallbackKeys({ path: join(folder, 'keys'), reloadIntervalMs: 20 });
  sidecar = await startSidecar({ keys });
  sidecar.api.seed(CAPTCHA_TASK.plural, task);
});
afterEach(async () => {
  await sidecar.stop();
  keys.stop();
  await rm(folder, { recursive: true });
});

test('a sidecar that started without keys is ready, and takes callbacks, when the file appears', async () => {
  expect(sidecar.server.ready()).toBe(false);
  await writeKeys(old);
  await waitUntil('the key', () => sidecar.server.ready());
  expect((await sidecar.get(mintedPath())).status).toBe(200);
});

test('a sidecar that needs no keys is ready without them, and answers 404 to everybody', async () => {
  const path = mintedPathOf(old);
  const none = await loadCallbackKeys({ path: join(folder, 'keys'), mayBeAbsent: true });
  const polledOnly = await startSidecar({ keys: none });
  await waitUntil('readiness', () => polledOnly.server.ready());
  expect((await polledOnly.get(await path)).status).toBe(404);
  await polledOnly.stop();
  none.stop();
});

test('appending a key and then moving it first refuses no callback of either; removing the old one ends it', async () => {
  await writeKeys(old);
  await waitUntil('the old key', () => keys.signingKid() === 'old');
  const minted = [mintedPath()];
  await writeKeys(old + next);
  await waitUntil('both keys', () => keys.kids().length === 2);
  expect((await sidecar.get(minted[0]!)).status).toBe(200);
  await writeKeys(next + old);
  await waitUntil('the new key to sign', () => keys.signingKid() === 'new');
  minted.push(mintedPath());
  for (const path of minted) expect((await sidecar.get(path)).status).toBe(200);
  await writeKeys(next);
  await waitUntil('the old key to be gone', () => keys.kids().length === 1);
  expect((await sidecar.get(minted[0]!)).status).toBe(404);
  expect((await sidecar.get(minted[1]!)).status).toBe(200);
});

test('what was answered 200 before its key was removed is applied all the same', async () => {
  await writeKeys(old);
  await waitUntil('the old key', () => sidecar.server.ready());
  const bringBack = takeDown(sidecar.api);
  expect((await sidecar.get(mintedPath())).status).toBe(200);
  await writeKeys(next);
  await waitUntil('the old key to be gone', () => keys.signingKid() === 'new');
  bringBack();
  await waitUntil('the spool to be empty', () => sidecar.server.spoolStats().records === 0);
  expect(sidecar.results).toEqual(['spooled', 'accepted']);
});
