/**
 * What happens while the API server is the bottleneck, counted: who goes before whom, and how many requests the processes
 * keep in flight at a server that is slow but takes many at once, and at one that takes two. A front before the real API
 * server plays these; it counts, and nothing here is timed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { createTasks } from '../bench/seed-tasks.ts';
import { type ApiFront, type FrontRequest, startApiFront } from '../support/api-front.ts';
import { admin, createNamespace, pathOf } from '../support/cluster.ts';
import { pageOf, startWorld, type World, type WorldOptions } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World | undefined;
let front: ApiFront | undefined;
afterEach(async () => {
  await world?.stop();
  await front?.stop();
  [world, front] = [undefined, undefined];
});

/** In the order in which the provider got them: whose page each was. */
async function pages({ simulator }: World): Promise<string[]> {
  return (await simulator.control.ledger()).submissions.map(({ pageurl }) => pageurl);
}

async function start(options: WorldOptions, service?: (request: FrontRequest) => Promise<() => void>): Promise<World> {
  front = await startApiFront(service === undefined ? {} : { service });
  world = await startWorld({ kubeconfig: front.kubeconfig, ...options });
  return world;
}

function isWrite({ method }: FrontRequest): boolean {
  return method !== 'GET';
}

test('a task of another namespace is submitted before the backlog of one', { timeout: 60_000 }, async () => {
  const [busy, other] = [await createNamespace({ prefix: 'busy' }), await createNamespace({ prefix: 'other' })];
  const BACKLOG = 500;
  await createTasks(admin, busy, BACKLOG);
  const started = await start({
    namespace: other,
    operatorEnv: { WATCH_NAMESPACES: `${busy},${other}` },
    sidecarEnv: { WATCH_NAMESPACES: `${busy},${other}` },
  });
  const already = await waitUntil('the backlog to move', async () => {
    const { length } = await pages(started);
    return length >= 50 ? length : undefined;
  });
  await started.apply('late');
  const page = pageOf(other, 'late');
  const submitted = await waitUntil('it to be submitted', async () => {
    const all = await pages(started);
    return all.includes(page) ? all : undefined;
  });
  const before = submitted.indexOf(page) - already;
  console.log(`${before} of a backlog of ${BACKLOG} were submitted after ${already} and before it`);
  expect(before).toBeLessThan(BACKLOG / 2);
});

/** The most writes of a process that were in flight at once. */
function mostInFlight() {
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  return {
    enters(process: string): void {
      const count = (now.get(process) ?? 0) + 1;
      now.set(process, count);
      most.set(process, Math.max(most.get(process) ?? 0, count));
    },
    leaves: (process: string) => now.set(process, (now.get(process) ?? 0) - 1),
    now: (process: string) => now.get(process) ?? 0,
    of: (process: string) => most.get(process) ?? 0,
  };
}

function processOf({ userAgent }: FrontRequest): string {
  return userAgent.split(' ')[1] ?? '';
}

async function untilAllSolved({ namespace }: World, count: number): Promise<void> {
  await waitUntil(
    'all to be solved',
    async () => {
      const { items } = objectOf<{ items: CaptchaTask[] }>(await admin.get(pathOf('captchatasks', namespace)));
      return items.filter(({ status }) => status?.phase === 'Solved').length === count;
    },
    { boundMs: 60_000, everyMs: 500 },
  );
}

test(
  'a server that takes 50 ms a write, but many at once, is sent many submissions at once',
  { timeout: 90_000 },
  async () => {
    const most = mostInFlight();
    const namespace = await createNamespace({ prefix: 'slow', tenant: true });
    const TASKS = 400;
    await createTasks(admin, namespace, TASKS);
    let journalWrites = 0;
    const started = await start({ namespace }, async (request) => {
      if (!isWrite(request)) return () => undefined;
      const process = processOf(request);
      if (request.method === 'PUT' && request.url.includes('/configmaps/')) journalWrites += 1;
      most.enters(process);
      await delay(50);
      return () => most.leaves(process);
    });
    await untilAllSolved(started, TASKS);
    const atOnce = `at once: operator ${most.of('operator')}, sidecar ${most.of('callback')}`;
    console.log(`${journalWrites} writes of the journal for ${TASKS} tasks; ${atOnce}`);
    // Six submissions begun at once shared one among three.
    expect(journalWrites).toBeLessThan(TASKS / 4);
  },
);

test(
  'at a server that takes two writes at once a callback finds few of the operator’s',
  { timeout: 60_000 },
  async () => {
    const most = mostInFlight();
    const line: (() => void)[] = [];
    const ahead: number[] = [];
    let busy = 0;
    const started = await start({}, async (request) => {
      if (!isWrite(request)) return () => undefined;
      const process = processOf(request);
      if (process === 'callback') ahead.push(most.now('operator'));
      most.enters(process);
      if (busy >= 2) await new Promise<void>((resolve) => line.push(resolve));
      busy += 1;
      await delay(20);
      return () => {
        busy -= 1;
        most.leaves(process);
        line.shift()?.();
      };
    });
    const TASKS = 200;
    await createTasks(admin, started.namespace, TASKS);
    await untilAllSolved(started, TASKS);
    const sorted = ahead.toSorted((left, right) => left - right);
    const [half, all] = [sorted[sorted.length >> 1], sorted.at(-1)];
    console.log(`writes of the operator that a callback's found at the server: half ${half}, most ${all}`);
    expect(half).toBeLessThan(16);
  },
);
