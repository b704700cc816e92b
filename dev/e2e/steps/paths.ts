/** Every sample path of the demo, and the example whose container the kubelet holds back until its captcha is solved. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SAMPLES } from '../../demo/seed.ts';
import { runSamples } from '../../demo/run.ts';
import { ROOT, TASKS, documentsOf, read, until, type Pod, type Stage } from '../stage.ts';

export async function everyPath(stage: Stage): Promise<string> {
  const { admin, control, log } = stage;
  const output = {
    isTTY: false,
    write: (text: string): void => log(text.trimEnd()),
    elapsedMs: () => performance.now(),
  };
  const world = { admin, simulator: { control } };
  const faults = await runSamples(world, { output, signal: new AbortController().signal, boundMs: 240_000 });
  if (faults.length > 0) throw new Error(faults.join('; '));
  return `${SAMPLES.length} samples reached their ends, none paid twice`;
}

interface Manifest {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { template?: { spec: { containers: { image: string; command: string[]; args: string[] }[] } } };
}

/**
 * examples/job.yaml: the Job first, so that the wait is seen, then the task. The image has no curl, so the container
 * prints what it was given instead of sending it.
 */
export async function exampleJob(stage: Stage): Promise<string> {
  const text = await readFile(join(ROOT, 'examples/job.yaml'), 'utf8');
  const objects = documentsOf<Manifest>(text).map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace: TASKS },
  }));
  const [container] = objects.find(({ kind }) => kind === 'Job')?.spec.template?.spec.containers ?? [];
  if (container === undefined) throw new Error('examples/job.yaml has no Job with a container');
  Object.assign(container, { image: stage.image, command: ['node', '--print', 'process.env.TOKEN'], args: [] });
  await stage.apply(objects.filter(({ kind }) => kind === 'Job'));
  await until(
    'the kubelet to hold the container back',
    async () => (await reasonOf(stage)) === 'CreateContainerConfigError',
  );
  await stage.apply(objects.filter(({ kind }) => kind === 'CaptchaTask'));
  await stage.kubectl('-n', TASKS, 'wait', '--for=condition=Complete', 'job/signup', '--timeout=180s');
  const printed = (await stage.kubectl('-n', TASKS, 'logs', 'job/signup')).trim();
  const secret = await read<{ data: { value: string } }>(stage, `/api/v1/namespaces/${TASKS}/secrets/signup-solution`);
  if (printed !== Buffer.from(secret.data.value, 'base64').toString('utf8'))
    throw new Error('it printed another token');
  return 'held back until the Secret was there, then ran with the token';
}

async function reasonOf(stage: Stage): Promise<string | undefined> {
  const query = 'labelSelector=job-name%3Dsignup';
  const { items } = await read<{ items: Pod[] }>(stage, `/api/v1/namespaces/${TASKS}/pods?${query}`);
  return items[0]?.status.containerStatuses?.[0]?.state.waiting?.reason;
}
