/**
 * The world of a random history: one task name, the API (a model), a provider with its books, two clocks, and the
 * processes as far as they remember anything. Everything random comes from one seed, so that a history can be replayed.
 * `operator.ts`, `sidecar.ts` and `people.ts` act in it; `history.ts` chooses who acts and checks what came of it.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { Letter } from '../../../src/core/deadletter/facts.ts';
import type { Journal } from '../../../src/core/journal/journal.ts';
import type { Rest, TaskMemory } from '../../../src/core/task/memory.ts';
import type { ApiReply, ApiRequest } from '../../../src/core/protocol.ts';
import type { ModelApi } from '../model-api.ts';
import { CAPTCHA_TASK, SECRET } from '../../../src/api/names.ts';
import { createJournal } from '../../../src/core/journal/journal.ts';
import { freshMemory } from '../../../src/core/task/memory.ts';
import { isFinished } from '../../../src/core/task/transitions.ts';
import { T0, aTask } from '../builders.ts';
import { createModelApi, outage, refusal } from '../model-api.ts';

export const TASK = 'login';
export const SOLUTION_SECRET = 'login-solution';

/** What the provider may say instead of a result. */
export const RETRIABLE_WORD = 'ERROR_CAPTCHA_UNSOLVABLE';
export const PERMANENT_WORD = 'ERROR_BAD_TOKEN_OR_PAGEURL';
/** What it says about an id that it keeps no longer. */
export const FORGOTTEN_ID = 'ERROR_WRONG_CAPTCHA_ID';

/** A piece of work that is under way; each `next` is one request, and between two of them anything may happen. */
export type Work = Generator<ApiRequest, void, ApiReply>;

/** Work and the reply that it has not seen yet. */
export interface Actor {
  work: Work;
  reply?: ApiReply;
}

/** What the provider was paid for. */
export interface Order {
  id: string;
  uid: string;
  attempt: number;
  answer?: { value: string } | { refused: string };
  /** A poll is told that there is no such id. */
  forgotten?: boolean;
  callbacks: number;
}

/** A callback that was answered 200 and is in the spool. */
export interface SpoolRecord {
  uid: string;
  attempt: number;
  id: string;
  code: string;
  receivedTime: number;
  actor?: Actor | undefined;
}

export interface Operator {
  boot: number;
  /** As far as it knows. */
  leads: boolean;
  startMono: number;
  task: CaptchaTask | undefined;
  letters: Map<string, Letter>;
  /** Uids that a read has shown to be gone. */
  gone: Set<string>;
  /** The version below which it takes nothing: its cache never goes back. */
  floor: number;
  memory: TaskMemory;
  journal: Journal;
  /** It holds the journal, and has listed the task since. */
  acts: boolean;
  /** What follows the drop of an entry, by the name of that. */
  rests: Map<string, Rest>;
  writer: Actor | undefined;
  intents: number;
  /** It has a turn that it has not used yet. */
  turn: boolean;
  actor: Actor | undefined;
  retries: Map<string, Actor>;
  busy: Set<string>;
}

/** A call of the provider that was sent; its answer finds the process that sent it, or nobody. */
export type Call =
  | {
      kind: 'submit';
      boot: number;
      uid: string;
      attempt: number;
      by: string;
      /** Whether it names a callback URL. */
      carried: boolean;
      order?: Order;
      /** The word by which that URL was refused. */
      refused?: string;
    }
  | { kind: 'poll'; boot: number; task: CaptchaTask; final: boolean };

export interface World {
  api: ModelApi;
  now: number;
  mono: number;
  /** In [0,1). */
  random(): number;
  /** Share of requests whose answer never comes. */
  outage: number;
  /** Requests that were given up by whoever sent them and may still be acted on. */
  late: ApiRequest[];
  forbidden: { solutions: boolean; letters: boolean; secrets: boolean };
  uids: number;
  orders: Order[];
  calls: Call[];
  spool: SpoolRecord[];
  /** Two processes; both know all, and sometimes both think that they lead. */
  operators: [Operator, Operator];
  /** The one whose turn it is. */
  operator: Operator;
  boots: number;
  /** Results that a producer let go of because a letter holds them. */
  kept: { uid: string; value: string }[];
  /** Tasks of which a person deleted a letter. */
  discarded: Set<string>;
  redrives: number;
  /** What is left out, for a test that shows that it matters. */
  skips: 'list' | undefined;
  trace: string[] | undefined;
}

/** @param task a task made by chance where absent */
export function createWorld(seed: number, traced = false, task?: CaptchaTask): World {
  let state = seed;
  const random = (): number => {
    // mulberry32: small, and good enough to choose who acts.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const api = createModelApi(() => world.now);
  api.strict = true;
  const first = bootedOperator(1, 1_000_000, true);
  const world: World = {
    api,
    now: T0,
    mono: 1_000_000,
    random,
    outage: random() < 0.5 ? 0 : 0.05,
    late: [],
    forbidden: { solutions: false, letters: false, secrets: false },
    uids: 0,
    orders: [],
    calls: [],
    spool: [],
    operators: [first, bootedOperator(2, 1_000_000, false)],
    operator: first,
    boots: 2,
    kept: [],
    discarded: new Set(),
    redrives: 0,
    skips: undefined,
    trace: traced ? [] : undefined,
  };
  if (task === undefined) createTask(world);
  else world.api.seed(CAPTCHA_TASK.plural, task);
  return world;
}

export function bootedOperator(boot: number, startMono: number, leads: boolean): Operator {
  const memory = freshMemory('none');
  const none = { letters: new Map(), retries: new Map(), busy: new Set<string>(), actor: undefined };
  const journal = createJournal(`operator-${boot}`);
  const writing = { journal, acts: false, rests: new Map<string, Rest>(), writer: undefined };
  return {
    boot,
    startMono,
    leads,
    task: undefined,
    gone: new Set(),
    floor: 0,
    memory,
    intents: 0,
    turn: false,
    ...none,
    ...writing,
  };
}

/** Newer than whatever the cache has held; finished tasks leave the selection. */
export function observe(operator: Operator, task: CaptchaTask | undefined, goneAt = operator.floor): void {
  const version = Number(task?.metadata.resourceVersion ?? goneAt);
  if (version < operator.floor || operator.gone.has(task?.metadata.uid ?? '')) return;
  operator.floor = version;
  operator.task = task === undefined || isFinished(task) ? undefined : task;
}

export function createTask(world: World): void {
  world.uids += 1;
  const withSecret = world.random() < 0.6;
  const spec = {
    backoffLimit: world.random() < 0.5 ? 1 : 0,
    ...(withSecret ? { solutionSecretName: SOLUTION_SECRET } : {}),
  };
  const task = aTask().uid(`task-${world.uids}`).spec(spec).created(world.now).build();
  world.api.seed(CAPTCHA_TASK.plural, task);
  note(world, `a task is created: ${task.metadata.uid}`);
}

export function note(world: World, line: string): void {
  world.trace?.push(`${Math.round((world.now - T0) / 1_000)}s ${line}`);
}

export function chance(world: World, probability: number): boolean {
  return world.random() < probability;
}

export function pick<T>(world: World, list: readonly T[]): T | undefined {
  return list[Math.floor(world.random() * list.length)];
}

/** Sends one request: it may be lost before or after it was acted on, refused, or answered from a stale cache. */
export function send(world: World, request: ApiRequest): ApiReply {
  const { api } = world;
  if (chance(world, world.outage)) {
    if (isRead(request)) return outage(true);
    const fate = pick(world, ['acted on', 'acted on', 'late', 'lost'] as const);
    if (fate === 'acted on') api.handle(request);
    if (fate === 'late') world.late.push(request);
    return outage(true);
  }
  const refused = refusedBy(world, request);
  if (refused !== undefined) return refused;
  api.lag = chance(world, 0.3) ? Math.floor(world.random() * 4) : 0;
  return api.handle(request);
}

function isRead({ verb }: ApiRequest): boolean {
  return verb === 'get' || verb === 'list';
}

/** A request that was long on its way is acted on now, when nobody waits for its answer any more. */
export function landLate(world: World): void {
  const request = pick(world, world.late);
  if (request === undefined) return;
  world.late.splice(world.late.indexOf(request), 1);
  const reply = refusedBy(world, request) ?? world.api.handle(request);
  note(world, `late: ${describe(request)} -> ${reply.ok ? 'ok' : reply.status}`);
}

function refusedBy({ forbidden }: World, request: ApiRequest): ApiReply | undefined {
  const creates = request.verb === 'create' ? request.resource.plural : undefined;
  if (forbidden.letters && creates === 'deadletters') return refusal(403, 'Forbidden', 'exceeded quota: letters');
  if (forbidden.secrets && creates === SECRET.plural) return refusal(403, 'Forbidden');
  return forbidden.solutions && writesSolution(request) ? refusal(422, 'Invalid') : undefined;
}

function writesSolution(request: ApiRequest): boolean {
  if (request.verb === 'patchStatus') return request.patch.some((op) => op.path === '/status/solution');
  return request.verb === 'replaceStatus' && 'solution' in ((request.object as CaptchaTask).status ?? {});
}

/** One request of an actor's work and its answer; true when the work is done. */
export function advance(world: World, actor: Actor): boolean {
  const next = actor.reply === undefined ? actor.work.next() : actor.work.next(actor.reply);
  if (next.done === true) return true;
  actor.reply = send(world, next.value);
  if (world.trace !== undefined)
    note(world, `  ${describe(next.value)} -> ${actor.reply.ok ? 'ok' : actor.reply.status}`);
  return false;
}

function describe(request: ApiRequest): string {
  const name =
    'name' in request ? request.name : 'object' in request ? (request.object as CaptchaTask).metadata.name : '';
  return `${request.verb} ${request.resource.plural}/${name}`;
}

/** What must hold in every history. */
export function demand(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(rule);
}
