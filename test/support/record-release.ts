/**
 * Records what this version leaves behind into test/fixtures/v<version>/, by running it: once for each release, before
 * its version number goes up. `node test/support/record-release.ts`; the upgrade tests of later versions read it.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { OPERATOR, applyManifests, objectOf, type Admin } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import { startFleet } from '../../dev/fleet.ts';
import { startSimulator } from '../../dev/simulator/index.ts';
import { aTask } from './builders.ts';
import { ROOT } from './kubectl.ts';
import {
  FIXTURES,
  RELEASE_SAMPLES,
  type ReleaseObjects,
  type ReleaseSample,
  type ReleaseSpool,
} from './release-fixture.ts';
import { startSidecar, takeDown, temporaryDirectory } from './sidecar.ts';
import { waitUntil } from './wait-until.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const TARGET = join(FIXTURES, `v${version}`);
const TASKS = `/apis/${API_VERSION}/namespaces/default/captchatasks`;
const LETTERS = `/apis/${API_VERSION}/namespaces/default/deadletters`;
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/captcha-system/leases/captcha-operator';

function log(line: string): void {
  console.error(line);
}

await rm(TARGET, { recursive: true, force: true });
await mkdir(TARGET, { recursive: true });
await cp(join(ROOT, 'crds'), join(TARGET, 'crds'), { recursive: true });
await recordSpool();
await recordObjects();

/** A callback that was answered 200 while the API server was away. */
async function recordSpool(): Promise<void> {
  const spoolDir = await temporaryDirectory();
  const sidecar = await startSidecar({ spoolDir, limits: { drainOnStopMs: 1 } });
  const spool: ReleaseSpool = { task: aTask().intended().submitted().build(), value: 'spooled-by-an-earlier-version' };
  takeDown(sidecar.api);
  const query = new URLSearchParams({ id: spool.task.status?.submission?.captchaID ?? '', code: spool.value });
  const reply = await sidecar.get(`${sidecar.pathFor(spool.task)}?${query}`);
  if (reply.status !== 200) throw new Error(`the callback was answered ${reply.status}`);
  await sidecar.stop();
  await cp(spoolDir, join(TARGET, 'spool'), { recursive: true });
  await rm(join(TARGET, 'spool', 'lock'), { force: true, recursive: true });
  await rm(spoolDir, { recursive: true });
  await write('spool.json', spool);
}

async function recordObjects(): Promise<void> {
  const installation = await startInstallation({ log, env: process.env });
  const { controlPlane, admin } = installation;
  await applyManifests(admin, ['deploy/tenant/rbac.yaml'], 'default');
  const foreign = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'foreign' },
    stringData: { value: 'not yours' },
  };
  objectOf(await admin.create('/api/v1/namespaces/default/secrets', foreign));
  const simulator = await startSimulator({ answerAfterMs: 300 });
  const kubeconfig = await controlPlane.kubeconfigFor(OPERATOR);
  const fleet = await startFleet({ kubeconfig, providerURL: simulator.url, operatorEnv: { LEADER_ELECTION: 'true' } });
  try {
    for (const { name, script } of RELEASE_SAMPLES) {
      if (script !== undefined) await simulator.control.script(script, { field: 'pageurl', equals: pageOf(name) });
      objectOf(await admin.create(TASKS, manifestOf(name)));
    }
    for (const sample of RELEASE_SAMPLES)
      await waitUntil(`${sample.name} to be ${sample.reason}`, () => hasReached(admin, sample));
    await write('objects.json', await readObjects(admin));
  } finally {
    await fleet.stop();
    await simulator.stop();
    await installation.stop();
  }
}

function pageOf(name: string): string {
  return `https://shop.example/${name}`;
}

function manifestOf(name: string): object {
  const spec = RELEASE_SAMPLES.find((sample) => sample.name === name)?.spec;
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAAAAAADnPIDROrmt1Wwj', pageURL: pageOf(name) } };
  return { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata: { name }, spec: { captcha, ...spec } };
}

async function hasReached(admin: Admin, { name, reason, attempts }: ReleaseSample): Promise<boolean> {
  const { status } = objectOf<CaptchaTask>(await admin.get(`${TASKS}/${name}`));
  const solved = status?.conditions?.find((condition) => condition.type === 'Solved');
  return solved?.reason === reason && (status?.attempts ?? 0) === attempts;
}

async function readObjects(admin: Admin): Promise<ReleaseObjects> {
  const list = async <T>(path: string): Promise<T[]> => objectOf<{ items: T[] }>(await admin.get(path)).items;
  return {
    recorded: new Date().toISOString(),
    tasks: await list(TASKS),
    letters: await list(LETTERS),
    lease: objectOf<object>(await admin.get(LEASE)),
  };
}

async function write(file: string, value: object): Promise<void> {
  const text = JSON.stringify(value, (key, inner: unknown) => (key === 'managedFields' ? undefined : inner), 2);
  await writeFile(join(TARGET, file), `${text}\n`);
}
