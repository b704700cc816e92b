/**
 * A running task controller in random histories: tasks come, go, are suspended, refused and solved by other hands, API
 * server and provider do as they please. Whatever happens, nobody keeps a turn that he does not use, and when the dust
 * has settled no lane knows of anything that is not there.
 */
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { Admission } from '../../../../src/core/task/admit.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { CAPTCHA_TASK, SECRET } from '../../../../src/api/names.ts';
import { createAdmission } from '../../../../src/core/task/admit.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { isFinished, solved } from '../../../../src/core/task/transitions.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { refusal } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';

/** Time stands still until a test lets it pass; turns of the event loop go on. */
const toFake = ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const;
beforeEach(() => vi.useFakeTimers({ now: Date.parse('2026-01-01T12:00:00Z'), toFake: [...toFake] }));
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** Everything is answered that is answered at once, and what follows from it has happened. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) await setImmediate();
}
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const OUTCOMES: SubmitOutcome[] = [
  { kind: 'accepted', captchaID: '0' },
  { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' },
  { kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' },
  { kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' },
  { kind: 'refused', class: 'addressBlocked', code: 'IP_BANNED' },
  { kind: 'unknown', cause: 'reset' },
  { kind: 'unreachable', cause: 'network' },
];
type Trouble = 'none' | 'refused' | 'slow' | 'lost' | 'unsent';

interface World {
  stage: Stage;
  all: Admission;
  trouble: Map<string, Trouble>;
  /** Slow requests that are under way. */
  writing: Set<{ name: string }>;
  outcome: SubmitOutcome;
  callMs: number;
  /** Requests to the API server so far. */
  requests: number;
}

async function createWorld(): Promise<World> {
  const all = createAdmission(DEFAULT_POLICY);
  const starting = startStage({ admission: all });
  await pass(10);
  const stage = await starting;
  const world: World = {
    stage,
    all,
    trouble: new Map(),
    writing: new Set(),
    outcome: { kind: 'accepted', captchaID: '0' },
    callMs: 0,
    requests: 0,
  };
  stage.api.seed(SECRET.plural, aSecret('tenant', { 'api-key': 'k'.repeat(32) }));
  stage.api.seed(SECRET.plural, aSecret('proxy', { address: '10.0.0.1:8080' }));
  stage.answer = async () => {
    const { outcome } = world;
    await new Promise((resolve) => setTimeout(resolve, world.callMs));
    return outcome.kind === 'accepted' ? { ...outcome, captchaID: String(1_000 + stage.submissions.length) } : outcome;
  };
  stage.api.faults.push((request) => {
    const refused = request.verb === 'replaceStatus' && world.trouble.get(request.name) === 'refused';
    return refused ? refusal(403, 'Forbidden') : undefined;
  });
  stage.client.fate = (request) => {
    world.requests += 1;
    if (request.verb !== 'replaceStatus') return undefined;
    const trouble = world.trouble.get(request.name);
    if (trouble === 'lost') return 'replyLost';
    if (trouble === 'unsent') return 'notSent';
    return trouble === 'slow' ? slowly(world, request.name) : undefined;
  };
  return world;
}

async function slowly({ writing }: World, name: string): Promise<void> {
  const request = { name };
  writing.add(request);
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  writing.delete(request);
}

/** Somebody's other hand. */
function change({ stage }: World, name: string, next: (task: CaptchaTask) => CaptchaTask): void {
  const task = stage.task(name);
  if (task === undefined || isFinished(task)) return;
  stage.client.change(CAPTCHA_TASK.plural, name, () => stage.api.seed(CAPTCHA_TASK.plural, next(task)));
}

function solve(world: World, name: string): void {
  const solution = { value: 'x', source: 'Callback', attempt: 1, captchaID: '5' } as const;
  const receivedTime = formatTime(Date.now());
  change(world, name, (task) => ({ ...task, status: solved(task, { ...solution, receivedTime }, Date.now()) }));
}

let uids = 0;
function create({ stage }: World, one: string, keyed: boolean, proxied: boolean): void {
  if (stage.task(one) !== undefined) return;
  const spec = {
    ...(keyed ? { apiKeySecretRef: { name: 'tenant', key: 'api-key' } } : {}),
    ...(proxied ? { proxy: { type: 'HTTP' as const, secretRef: { name: 'proxy', key: 'address' } } } : {}),
  };
  uids += 1;
  stage.apply(aTask().created(Date.now()).named(one).uid(`uid-${uids}`).spec(spec));
}

function setTenantKey({ stage }: World, letter: string | undefined): void {
  if (letter === undefined) stage.api.remove(SECRET.plural, 'tenant');
  else stage.api.seed(SECRET.plural, aSecret('tenant', { 'api-key': letter.repeat(32) }));
}

/** What can happen, as data, so that a counterexample can be read. */
const ACTS = {
  create,
  wait: (_world: World, ms: number) => pass(ms),
  trouble: ({ trouble }: World, one: string, kind: Trouble) => void trouble.set(one, kind),
  provider: (world: World, outcome: SubmitOutcome, callMs: number) => void Object.assign(world, { outcome, callMs }),
  solve,
  remove: ({ stage }: World, one: string) => stage.task(one) && stage.remove(one),
  deleteWithFinalizer: (world: World, one: string) => change(world, one, withFinalizer),
  suspend: (world: World, one: string, suspend: boolean) =>
    change(world, one, (task) => ({ ...task, spec: { ...task.spec, suspend } })),
  setTenantKey,
  lead: ({ stage }: World, leading: boolean) => stage.lead(leading),
};
type Act = { [Name in keyof typeof ACTS]: [Name, ...Tail<Parameters<(typeof ACTS)[Name]>>] }[keyof typeof ACTS];
type Tail<List extends unknown[]> = List extends [unknown, ...infer Rest] ? Rest : never;

async function carryOut(world: World, [what, ...given]: Act): Promise<void> {
  const act = ACTS[what] as (world: World, ...given: unknown[]) => unknown;
  await act(world, ...given);
}

const task = fc.constantFrom(...NAMES);
const is = <const Name extends keyof typeof ACTS>(name: Name) => fc.constant(name);
const anAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(is('create'), task, fc.boolean(), fc.boolean()) },
  { weight: 6, arbitrary: fc.tuple(is('wait'), fc.constantFrom(10, 600, 6_000, 20_000, 61_000, 310_000)) },
  {
    weight: 3,
    arbitrary: fc.tuple(is('trouble'), task, fc.constantFrom<Trouble>('none', 'refused', 'slow', 'lost', 'unsent')),
  },
  { weight: 3, arbitrary: fc.tuple(is('provider'), fc.constantFrom(...OUTCOMES), fc.constantFrom(0, 0, 5_000)) },
  { weight: 2, arbitrary: fc.tuple(is('solve'), task) },
  { weight: 1, arbitrary: fc.tuple(is('remove'), task) },
  { weight: 1, arbitrary: fc.tuple(is('deleteWithFinalizer'), task) },
  { weight: 1, arbitrary: fc.tuple(is('suspend'), task, fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(is('setTenantKey'), fc.constantFrom(undefined, 'k', 'l')) },
  { weight: 1, arbitrary: fc.tuple(is('lead'), fc.boolean()) },
);

function withFinalizer(task: CaptchaTask): CaptchaTask {
  return { ...task, metadata: { ...task.metadata, deletionTimestamp: formatTime(Date.now()) } };
}

const nameOf = (key: string) => key.slice(key.indexOf('/') + 1);

/** A turn is used now: its intent is being written, or its call is under way. */
function expectTurnsInUse({ all, writing }: World): void {
  const granted = [...all.lanes.values()].flatMap((lane) => [...lane.granted.keys()]);
  const written = new Set(Array.from(writing, (request) => request.name));
  const idle = granted.filter((key) => !all.calling.has(key) && !written.has(nameOf(key)));
  expect(idle).toEqual([]);
  expect([...all.starting].filter((key) => !granted.includes(key))).toEqual([]);
}

/** Nothing is repeated without a pause. */
async function expectRest(world: World): Promise<void> {
  const { requests } = world;
  await quiet();
  expect(world.requests).toBe(requests);
}

/** Nothing is held by a task that is not there. */
function expectNoGhosts({ all, stage }: World): void {
  const open = (key: string): boolean => {
    const task = stage.task(nameOf(key));
    return task !== undefined && !isFinished(task);
  };
  const lanes = [...all.lanes.values()];
  for (const lane of lanes)
    expect([...lane.granted.keys(), ...lane.permits.keys()].filter((key) => !open(key))).toEqual([]);
  const keys = [...all.places.keys(), ...all.permits.keys(), ...all.starting, ...all.calling];
  expect(keys.filter((key) => !open(key))).toEqual([]);
}

test('nobody keeps a turn that is not used, and nothing is held by a task that is gone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anAct, { minLength: 10, maxLength: 60 }), async (acts) => {
      const world = await createWorld();
      try {
        for (const one of acts) {
          await carryOut(world, one);
          await quiet();
          expectTurnsInUse(world);
          await expectRest(world);
        }
        world.trouble.clear();
        await pass(20_000);
        await quiet();
        expectTurnsInUse(world);
        expectNoGhosts(world);
        for (const one of NAMES) if (world.stage.task(one) !== undefined) world.stage.remove(one);
        await pass(20_000);
        await quiet();
        expectNoGhosts(world);
        expect(world.all.places.size + world.all.permits.size + world.all.starting.size).toBe(0);
      } finally {
        const stopped = world.stage.controller.stop({ drainMs: 0 });
        await pass(5_000);
        await stopped;
      }
    }),
    { numRuns: 60 },
  );
});
