/**
 * The rights that deploy/ grants are the rights that the processes use: tasks take every path under the shipped
 * identity in a control plane that records requests, and the record is compared with the roles. A verb that is granted
 * and not used fails, and so does a request that was refused.
 */
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { idOf } from '../../src/core/gateway/ids.ts';
import {
  GATEWAY,
  OPERATOR,
  applyManifests,
  installGateway,
  objectOf,
  type AuditedRequest,
} from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { Script } from '../../dev/simulator/script.ts';
import { leaveAfterSending } from '../support/gateway.ts';
import { CAPTCHAS, taskManifest, type Json } from '../support/manifests.ts';
import { corePathOf, pathOf } from '../support/paths.ts';
import { waitUntil } from '../support/wait-until.ts';

const ROLES = ['deploy/base/rbac.yaml', 'deploy/tenant/rbac.yaml'];
const GATEWAY_ROLES = ['deploy/components/gateway/rbac.yaml'];
const GATEWAY_KEY = 'acce55acce55acce55acce55acce55ac';
const TENANT = 'tenant';

let installation: Installation;
let controlPlane: Installation['controlPlane'];
let admin: Installation['admin'];
let simulator: Simulator;
let fleet: Fleet | undefined;

async function stopFleet(): Promise<void> {
  await fleet?.stop();
  fleet = undefined;
}

beforeAll(async () => {
  installation = await startInstallation({ env: process.env, audit: true });
  ({ controlPlane, admin } = installation);
  objectOf(await admin.create('/api/v1/namespaces', { metadata: { name: TENANT } }));
  await applyManifests(admin, ['deploy/tenant/rbac.yaml'], TENANT);
  await installGateway(admin);
  simulator = await startSimulator({ answerAfterMs: 200 });
  fleet = await startFleet({
    kubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
    providerURL: simulator.url,
    // With two operators the Lease is used.
    operators: 2,
    gateways: { count: 1, kubeconfig: await controlPlane.kubeconfigFor(GATEWAY), keys: { [TENANT]: GATEWAY_KEY } },
    operatorEnv: { DEAD_LETTER_TTL_SECONDS: '1', DEAD_LETTER_RETRY_MIN_SECONDS: '1', POLL_INTERVAL_SECONDS: '1' },
  });
});
afterAll(async () => {
  await stopFleet();
  await simulator?.stop();
  await installation?.stop();
});

async function apply(name: string, spec: Json = {}, script?: Script): Promise<void> {
  const pageURL = `https://shop.example/${name}`;
  if (script) await simulator.control.script(script, { field: 'pageurl', equals: pageURL });
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAA', pageURL } };
  const manifest = taskManifest('Turnstile', { name, spec: { captcha, ...spec } });
  objectOf(await admin.create(pathOf('captchatasks', TENANT), manifest));
}

async function untilTask(name: string, reason: string, matches: (task: CaptchaTask) => boolean): Promise<void> {
  let last: CaptchaTask | undefined;
  const look = async (): Promise<boolean> => {
    last = objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', TENANT, name)));
    return matches(last);
  };
  await waitUntil(`${name} ${reason}`, look, { boundMs: 60_000 }).catch((error: unknown) => {
    throw new Error(`${String(error)}; status: ${JSON.stringify(last?.status)}`, { cause: error });
  });
}

function untilPhase(name: string, phase: string): Promise<void> {
  return untilTask(name, `is ${phase}`, ({ status }) => status?.phase === phase);
}

async function lettersOf(name: string): Promise<DeadLetter[]> {
  const { items } = objectOf<{ items: DeadLetter[] }>(await admin.get(pathOf('deadletters', TENANT)));
  return items.filter(({ spec }) => spec.taskRef.name === name);
}

async function createSecret(name: string): Promise<void> {
  objectOf(await admin.create(corePathOf('secrets', TENANT), { metadata: { name }, stringData: { value: 'theirs' } }));
}

/** Every path that asks the Kubernetes API for something of its own. */
async function takeEveryPath(): Promise<void> {
  const image = Buffer.from(String((CAPTCHAS.Image['image'] as Json)['body']), 'base64').toString('base64');
  objectOf(
    await admin.create(corePathOf('configmaps', TENANT), { metadata: { name: 'images' }, binaryData: { png: image } }),
  );
  for (const name of ['blocked-solution', 'lost-solution']) await createSecret(name);

  await apply('callback');
  await apply('polled', { callbackTimeoutSeconds: 1 }, { tasks: [{ pingbacks: [] }] });
  await apply('short-lived', { ttlSecondsAfterFinished: 0 });
  await apply('to-a-secret', { solutionSecretName: 'solution' });
  await apply('image', {
    captcha: { type: 'Image', image: { bodyFrom: { configMapKeyRef: { name: 'images', key: 'png' } } } },
  });
  // Two attempts of one task that end alike, both learned by the operator: one Event, counted up.
  const unsolvable = { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' }, pingbacks: [] }] };
  await apply('unsolvable', { backoffLimit: 2, callbackTimeoutSeconds: 0 }, unsolvable);
  await apply('blocked', { solutionSecretName: 'blocked-solution' });
  await apply('lost-letter', { solutionSecretName: 'lost-solution' });

  for (const name of ['callback', 'polled', 'to-a-secret', 'image']) await untilPhase(name, 'Solved');
  await untilPhase('unsolvable', 'Failed');
  await waitUntil('the task to be deleted after its time', async () => {
    return (await admin.get(pathOf('captchatasks', TENANT, 'short-lived'))).status === 404;
  });
  await settleLetters();
}

/** One letter is resolved when what blocked it is gone, and deleted after its time; another is deleted by hand. */
async function settleLetters(): Promise<void> {
  for (const name of ['blocked', 'lost-letter']) {
    await untilTask(name, 'has a confirmed letter', ({ status }) => status?.deadLetter?.confirmed === true);
  }
  objectOf(await admin.delete(corePathOf('secrets', TENANT, 'blocked-solution')));
  for (const { metadata } of await lettersOf('lost-letter')) {
    objectOf(await admin.delete(pathOf('deadletters', TENANT, metadata.name)));
  }
  await untilPhase('blocked', 'Solved');
  await untilPhase('lost-letter', 'Failed');
  await waitUntil(
    'the resolved letter to be deleted after its time',
    async () => (await lettersOf('blocked')).length === 0,
  );
}

interface Role {
  kind: string;
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
}

/** `verb group/resource` for everything that the shipped roles grant. */
async function grantedRights(files: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(files.map((file) => readFile(new URL(`../../${file}`, import.meta.url), 'utf8')));
  const roles = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Role));
  return roles.flatMap(({ rules = [] }) =>
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      verbs.flatMap((verb) =>
        apiGroups.flatMap((group) => resources.map((resource) => `${verb} ${group}/${resource}`)),
      ),
    ),
  );
}

function rightOf({ verb, apiGroup, resource }: AuditedRequest): string {
  return `${verb} ${apiGroup}/${resource}`;
}

/** A submission, an id that no watch knows, and clients that leave before they are told theirs. */
async function useGateway(url: string): Promise<void> {
  const ask = async (path: string, fields: Record<string, string>): Promise<string> =>
    (await fetch(`${url}/${path}?${new URLSearchParams({ key: GATEWAY_KEY, ...fields })}`)).text();
  const turnstile = { method: 'turnstile', sitekey: '0x4AAA', pageurl: 'https://shop.example/gateway' };
  const told = await ask('in.php', turnstile);
  expect(told).toMatch(/^OK\|\d{18}$/);
  expect(await ask('res.php', { action: 'get', id: told.slice(3), wait: '60' })).toMatch(/^OK\|./);
  const unknown = idOf(TENANT, 20_000_000_000_000);
  expect(await ask('res.php', { action: 'get', id: unknown })).toBe('ERROR_WRONG_CAPTCHA_ID');
  await waitUntil(
    'a task to be withdrawn',
    async () => {
      await leaveAfterSending(`${url}/in.php?${new URLSearchParams({ key: GATEWAY_KEY, ...turnstile })}`);
      return (await controlPlane.auditOf(GATEWAY)).some(({ verb }) => verb === 'delete');
    },
    { boundMs: 60_000 },
  );
}

describe('the shipped roles', () => {
  test('grant what the gateway uses, and nothing else', async () => {
    await useGateway(fleet?.gatewayURL ?? '');
    const requests = await controlPlane.auditOf(GATEWAY);
    expect([...new Set(requests.filter(({ allowed }) => !allowed).map(rightOf))]).toEqual([]);
    const used = new Set(requests.map(rightOf));
    const granted = await grantedRights(GATEWAY_ROLES);
    // Lists are streamed by watches; where a server does not do that, they are asked for.
    const [list = ''] = granted.filter((right) => right.startsWith('list '));
    expect(granted.filter((right) => !used.has(right) && right !== list)).toEqual([]);
    expect([...used].filter((right) => !granted.includes(right))).toEqual([]);
  });

  test('grant what the operator and the sidecar use, and nothing else', async () => {
    await takeEveryPath();
    // Lists are streamed by watches where that works; pages are what the sweep for finished tasks reads.
    await waitUntil('finished tasks to be swept', async () =>
      (await controlPlane.auditOf(OPERATOR)).some(
        ({ verb, resource }) => verb === 'list' && resource === 'captchatasks',
      ),
    );
    // What a process does on its way out counts too: it gives the Lease back and writes its last Events.
    await stopFleet();
    const requests = await controlPlane.auditOf(OPERATOR);
    expect([...new Set(requests.filter(({ allowed }) => !allowed).map(rightOf))]).toEqual([]);
    const used = new Set(requests.map(rightOf));
    const granted = await grantedRights(ROLES);
    expect(granted.filter((right) => !used.has(right))).toEqual([]);
    expect([...used].filter((right) => !granted.includes(right))).toEqual([]);
  });
});
