/**
 * A state of the model: the objects of the API server, the provider's books, and what each process knows. Immutable.
 * `canonical` spells it in one way: versions are only "the newest" or "older", names of intents are numbered in order of
 * appearance, and the two operators have no order. Times are not part of a state: `time.ts` says why.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import type { TaskMemory } from '../../src/core/task/memory.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { type Handle, renamed } from './intern.ts';
import type { Room } from './room.ts';

/** What the API server stores. */
export interface Objects {
  readonly task: Handle<CaptchaTask> | undefined;
  readonly secret: Handle<object> | undefined;
  readonly letters: readonly Handle<DeadLetter>[];
  /** The ConfigMap of the intent journal. */
  readonly journal: Handle<JournalObject> | undefined;
}

export interface JournalObject {
  metadata: { resourceVersion?: string };
  data?: Record<string, string>;
}

/** A protocol that is under way: a generator cannot be copied, so it is what it was told so far. */
export interface Work {
  readonly name: string;
  readonly args: Handle<object>;
  readonly replies: readonly Handle<ApiReply>[];
}

/** A call of the provider by a process that still waits for its answer, or has died since. */
export type Call =
  | { kind: 'submit'; uid: string; attempt: number; by: string; stage: 'sent' | 'accepted' }
  | { kind: 'poll'; task: CaptchaTask; final: boolean };

export interface Operator {
  readonly cache: Handle<CaptchaTask> | undefined;
  readonly memory: Handle<TaskMemory>;
  readonly leads: boolean;
  /** It has a turn of its API key that it has not used yet. */
  readonly turn: boolean;
  readonly work: Work | undefined;
  /** A retry of a letter, beside the work on the task. */
  readonly retry: Work | undefined;
  readonly calls: readonly Handle<Call>[];
  /** What it knows of the intent journal; undefined in a world without one. */
  readonly room: Handle<Room> | undefined;
  /** `unlisted`: it holds the journal, and has not listed the tasks since. It decides only when it is `acting`. */
  readonly stage: 'idle' | 'unlisted' | 'acting';
  /** The journal is taken over or written. */
  readonly writer: Work | undefined;
  /** A fresh read about an entry that no cache can tell of. */
  readonly asking: Work | undefined;
}

/** What the provider says in the end. `hopeless`: a word by which no further attempt can succeed. */
export type Answer = 'value' | 'unsolvable' | 'hopeless';

/** What the provider was paid for. */
export interface Job {
  readonly uid: string;
  readonly attempt: number;
  readonly answer: 'none' | Answer;
  readonly callbacks: number;
  /** A callback of it was answered 200. */
  readonly acknowledged: boolean;
}

/** A callback in the sidecar: being received, or in its spool. */
export interface Received {
  /** `keyOfJob` of what it is about. */
  readonly job: string;
  readonly work: Work | undefined;
  readonly spooled: boolean;
  /** Its first attempt goes on, although it is in the spool. */
  readonly beside: boolean;
}

export interface State extends Objects {
  /** What cached reads of the sidecar are answered with; undefined: there is no such task yet, or no more. */
  readonly lagging: Handle<CaptchaTask> | undefined;
  readonly operators: readonly Operator[];
  /** Submissions whose process died after it had sent them. */
  readonly orphans: readonly Handle<Call>[];
  readonly jobs: readonly Job[];
  readonly received: readonly Received[];
  /** A write whose sender has given up waiting for the reply. */
  readonly flight: Handle<ApiRequest> | undefined;
  /** How often people did what they do a bounded number of times. */
  readonly deeds: number;
  /** How often the journal was taken from an operator that acts, where that is bounded. */
  readonly rivals: number;
}

export function keyOfJob({ uid, attempt }: Pick<Job, 'uid' | 'attempt'>): string {
  return `${uid}/${attempt}`;
}

/** Equal for two operators that differ in the names of intents only. */
function operatorOrder(operator: Operator): string {
  const { cache, memory, leads, turn, work, retry, calls, room, stage, writer, asking } = operator;
  let key = `${cache?.core ?? 0},${memory.core},${leads ? 1 : 0}${turn ? 1 : 0}${coreOfWork(work)}${coreOfWork(retry)}`;
  for (const call of calls) key += `,${call.core}`;
  if (room === undefined) return key;
  return `${key}:${room.core}${stage}${coreOfWork(writer)}${coreOfWork(asking)}`;
}

function coreOfWork(work: Work | undefined): string {
  if (work === undefined) return ';';
  let key = `;${work.name}${work.args.core}`;
  for (const reply of work.replies) key += `.${reply.core}`;
  return key;
}

type Rename = <T>(handle: Handle<T>) => Handle<T>;

/** The same state with every handle replaced; in the order in which tokens are numbered. */
function mapHandles(state: State, map: Rename): State {
  const maybe = <T>(handle: Handle<T> | undefined): Handle<T> | undefined => handle && map(handle);
  const ofWork = (work: Work | undefined): Work | undefined =>
    work && { name: work.name, args: map(work.args), replies: work.replies.map(map) };
  return {
    task: maybe(state.task),
    secret: state.secret,
    letters: state.letters.map(map),
    journal: maybe(state.journal),
    lagging: maybe(state.lagging),
    operators: state.operators.map((operator) => ({
      cache: maybe(operator.cache),
      memory: map(operator.memory),
      leads: operator.leads,
      turn: operator.turn,
      work: ofWork(operator.work),
      retry: ofWork(operator.retry),
      calls: operator.calls.map(map),
      room: maybe(operator.room),
      stage: operator.stage,
      writer: ofWork(operator.writer),
      asking: ofWork(operator.asking),
    })),
    orphans: state.orphans.map(map),
    jobs: state.jobs,
    received: state.received.map((received) => ({ ...received, work: ofWork(received.work) })),
    flight: maybe(state.flight),
    deeds: state.deeds,
    rivals: state.rivals,
  };
}

/** The one spelling of a state. */
export function canonical(state: State): State {
  const [first, second] = state.operators;
  if (first === undefined || second === undefined) return spelled(state);
  const [one, other] = [operatorOrder(first), operatorOrder(second)];
  if (one < other) return spelled(state);
  const swapped = spelled({ ...state, operators: [second, first] });
  if (one > other) return swapped;
  // They differ in the numbers of names alone, if at all: these depend on the order.
  const kept = spelled(state);
  return keyOf(kept) < keyOf(swapped) ? kept : swapped;
}

/** Names and versions as `canonical` has them; the operators stay where they are. */
export function spelled(state: State): State {
  const newest = new Set([versionOf(state.task), versionOf(state.journal), ...state.letters.map(versionOf)]);
  const names = new Map<string, string>();
  const counts = { '~b': 1, '~h': 1 };
  const name = (token: string): string => {
    const kind = token.slice(0, 2);
    if (kind !== '~b' && kind !== '~h') return `${kind}${newest.has(token) ? 1 : 0}`;
    const known = names.get(token);
    if (known !== undefined) return known;
    const next = `${kind}${counts[kind]}`;
    counts[kind] += 1;
    names.set(token, next);
    return next;
  };
  return mapHandles(state, (handle) => (handle.tokens.length === 0 ? handle : renamed(handle, name)));
}

function versionOf(handle: Handle<{ metadata: { resourceVersion?: string } }> | undefined): string | undefined {
  return handle?.value.metadata.resourceVersion;
}

export function keyOfWork(work: Work | undefined): string {
  if (work === undefined) return '';
  let key = `${work.name}${work.args.id}`;
  for (const reply of work.replies) key += `.${reply.id}`;
  return key;
}

function ids(handles: readonly Handle[]): string {
  return handles.map(id).join('.');
}

function id(handle: Handle | undefined): number {
  return handle === undefined ? 0 : handle.id;
}

export function keyOfOperator(operator: Operator): string {
  const { cache, memory, leads, turn, work, retry, calls, room, stage, writer, asking } = operator;
  const flags = `${leads ? 1 : 0}${turn ? 1 : 0}`;
  const key = `|${id(cache)},${memory.id},${flags},${keyOfWork(work)},${keyOfWork(retry)},${ids(calls)}`;
  return room === undefined ? key : `${key},${room.id}${stage}${keyOfWork(writer)},${keyOfWork(asking)}`;
}

/** Equal for equal states (after `canonical`). */
export function keyOf(state: State): string {
  const { task, secret, letters, journal, lagging, operators, orphans, jobs, received, flight, deeds, rivals } = state;
  let key = `${id(journal)},${rivals},${deeds},${id(task)},${id(secret)},${ids(letters)},${id(lagging)},${id(flight)},${ids(orphans)}`;
  for (const operator of operators) key += keyOfOperator(operator);
  for (const job of jobs) key += `/${job.uid}${job.attempt}${job.answer}${job.callbacks}${job.acknowledged}`;
  for (const { job, work, spooled, beside } of received) key += `;${job}${spooled}${beside}${keyOfWork(work)}`;
  return key;
}
