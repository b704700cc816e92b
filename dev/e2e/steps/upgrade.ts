/**
 * A cluster that has the previous release's definitions, with its tasks and letters as that release stored them
 * (test/fixtures), gets this one. No image of that release can be had here, so what goes back are the definitions: the
 * tasks must be readable under both.
 */
import { isDeepStrictEqual } from 'node:util';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import { API_VERSION } from '../../../src/api/names.ts';
import { objectOf } from '../../control-plane/index.ts';
import { ROOT, TASKS, read, until, type Stage } from '../stage.ts';

const RELEASE = 'v0.1.0';
const FIXTURE = join(ROOT, 'test/fixtures', RELEASE);
const PATH = `/apis/${API_VERSION}/namespaces/${TASKS}/captchatasks`;
/** They have ended, or wait for a person: nothing may happen to them. */
const AT_REST = ['solved', 'polled', 'failed', 'suspended'];

interface Objects {
  recorded: string;
  tasks: CaptchaTask[];
}

/** The previous release's definitions and tasks, as if it had run here until a moment ago. */
export async function restorePrevious(stage: Stage): Promise<string> {
  await stage.kubectl('delete', '-f', join(ROOT, 'crds'), '--ignore-not-found', '--timeout=120s');
  await stage.kubectl('apply', '-f', join(FIXTURE, 'crds'));
  await stage.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
  const text = await readFile(join(FIXTURE, 'objects.json'), 'utf8');
  const { tasks } = JSON.parse(shiftTimes(text)) as Objects;
  const chosen = tasks.filter(({ metadata }) => AT_REST.includes(metadata.name));
  for (const { metadata, spec, status } of chosen) {
    const { name } = metadata;
    const bare = { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata: { name, namespace: TASKS }, spec };
    const made = await until(`${name} to be taken`, async () => {
      return objectOf<CaptchaTask>(await stage.admin.create(PATH, bare));
    });
    objectOf(await stage.admin.replace(`${PATH}/${name}/status`, { ...made, status }));
  }
  return `${chosen.length} tasks of ${RELEASE} under its own definitions`;
}

/** A finished task is deleted some time after its end, so its times must be recent. */
function shiftTimes(text: string): string {
  const { recorded } = JSON.parse(text) as Objects;
  const shiftMs = Date.now() - Date.parse(recorded);
  return text.replaceAll(/"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"/g, (_whole, time: string) => {
    const moved = new Date(Date.parse(time) + shiftMs).toISOString();
    return JSON.stringify(time.includes('.') ? moved.replace(/(\.\d+)Z$/, '$1000Z') : moved.replace(/\.\d+Z$/, 'Z'));
  });
}

/** After this release was installed over it: untouched where at rest, resumed where a person lets it go on. */
export async function checkUpgraded(stage: Stage): Promise<string> {
  const before = await storedTasks(stage);
  await stage.kubectl('apply', '-f', join(FIXTURE, 'crds'));
  const under = await storedTasks(stage);
  await stage.kubectl('apply', '-f', join(ROOT, 'crds'));
  if (!isDeepStrictEqual(before, under))
    throw new Error(`the tasks read otherwise under the definitions of ${RELEASE}`);
  if (before.size !== AT_REST.length) throw new Error(`${before.size} of ${AT_REST.length} tasks are left`);
  await stage.kubectl('-n', TASKS, 'patch', 'ctask', 'suspended', '--type=merge', '--patch={"spec":{"suspend":false}}');
  await until('the suspended task to be solved', async () => {
    return (await read<CaptchaTask>(stage, `${PATH}/suspended`)).status?.phase === 'Solved';
  });
  for (const name of AT_REST.filter((one) => one !== 'suspended')) {
    const { spec, status } = await read<CaptchaTask>(stage, `${PATH}/${name}`);
    if (!isDeepStrictEqual({ spec, status }, before.get(name))) throw new Error(`task ${name} was changed`);
  }
  return `finished tasks untouched, the suspended one resumed and solved; definitions of ${RELEASE} and back`;
}

async function storedTasks(stage: Stage): Promise<Map<string, Pick<CaptchaTask, 'spec' | 'status'>>> {
  // The API server answers 429 for a moment after a definition has changed.
  const { items } = await until('the tasks to be readable', () => read<{ items: CaptchaTask[] }>(stage, PATH));
  const chosen = items.filter(({ metadata }) => AT_REST.includes(metadata.name));
  return new Map(
    chosen.map(({ metadata, spec, status }) => [metadata.name, { spec, ...(status === undefined ? {} : { status }) }]),
  );
}
