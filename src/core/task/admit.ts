/**
 * Who may start: all lanes of this process, one per API key, and what they share: the breaker of this address and the
 * count of rejected keys (the provider bans addresses, not keys). Places, turns and permits (see `lane.ts`) are found
 * again by the task's key alone, which is its `namespace/name`. A mutable value and its functions, without I/O, clock or
 * chance; it grants turns only when `pump` is called.
 */
import type { PollOutcome, SubmitOutcome } from '../outcome.ts';
import type { Blockage, LaneView, Moment } from './facts.ts';
import type { TaskPolicy } from './policy.ts';
import { BREAKER_REASONS, type Breaker, type BreakerReason, faultOf, gate, relieved, trip } from './breaker.ts';
import {
  type EndOfLook,
  type Lane,
  type Waiting,
  blockageOf,
  createLane,
  grantOne,
  isForgotten,
  isUsed,
  joinLane,
  leaveLane,
  lookAgainMs,
  lookAtPool,
  pollFaulted,
  pollPauseOf,
  ticketIn,
  turnCalled,
} from './lane.ts';
import { REJECTIONS_WINDOW_MS } from './policy.ts';

/**
 * Turns begun at once, for each request that the API server takes at once: from the turn to the call, and again from the
 * reply until its id is durable. So ids go before new intents, however slow the server is. An intent waits for one write
 * of the journal and a half, and its id is one more: fewer than three would not keep the server busy.
 */
const BEGUN_PER_PLACE = 4;

export interface Admission {
  readonly policy: Pick<TaskPolicy, 'maxConcurrentSubmissions' | 'rejectedKeysLimit'>;
  readonly lanes: Map<string, Lane>;
  /** Where a task waits or has its turn, and where it holds a permit. */
  readonly places: Map<string, Lane>;
  readonly permits: Map<string, Lane>;
  /** Turns whose intent is being written, and tasks whose id is not durable yet; see `BEGUN_PER_PLACE`. */
  readonly starting: Set<string>;
  readonly recording: Map<string, number>;
  /** Requests that the API server takes at once, as was told last. */
  atOnce: number;
  /** Turns whose call is under way: they end with it, and not before. */
  readonly calling: Set<string>;
  address: Breaker | undefined;
  /** Whose turn is the probe of `address`. */
  probe: string | undefined;
  readonly rejections: Rejection[];
}

interface Rejection {
  mono: number;
  /** Whose task was submitted with the key; of polls it is not known. */
  namespace: string | undefined;
}

export function createAdmission(policy: Admission['policy']): Admission {
  return {
    policy,
    lanes: new Map(),
    places: new Map(),
    permits: new Map(),
    starting: new Set(),
    recording: new Map(),
    atOnce: 4,
    calling: new Set(),
    address: undefined,
    probe: undefined,
    rejections: [],
  };
}

/** Takes a place in the lane of this API key, unless the task has one there; a place in another lane is given up. */
export function join(all: Admission, task: Waiting, apiKey: string, mono: number): void {
  const lane = laneOf(all, apiKey);
  if (all.places.get(task.key) !== lane) leave(all, task.key);
  all.places.set(task.key, lane);
  joinLane(lane, task, mono);
}

/** Gives up the task's place, or its turn unless its call is under way; false where there is nothing to give up. */
export function leave(all: Admission, key: string): boolean {
  const lane = all.places.get(key);
  if (lane === undefined || all.calling.has(key)) return false;
  if (all.probe === key) all.address = relieved(all.address, false);
  leaveLane(lane, key);
  all.starting.delete(key);
  return all.places.delete(key);
}

/** Gives up every place and unused turn (leadership lost); breakers and permits stay. */
export function leaveAll(all: Admission): void {
  for (const key of all.places.keys()) leave(all, key);
}

/** The task's place, seen from the API key that it would use now (undefined: it has none). */
export function ticketOf(all: Admission, key: string, apiKey: string | undefined): LaneView['ticket'] {
  const lane = all.places.get(key);
  if (lane === undefined) return 'none';
  if (all.calling.has(key)) return 'calling';
  return apiKey !== undefined && lane === all.lanes.get(apiKey) ? ticketIn(lane, key) : 'elsewhere';
}

/**
 * Grants turns as the limits allow, one lane after the other so that no key waits for another's backlog, and returns
 * whose they are. Tasks of a namespace that is barred could not use theirs.
 */
export function pump(all: Admission, mono: number, isBarred: (namespace: string) => boolean = () => false): string[] {
  const trials = trialsOf(all, mono);
  forgetHanging(all, mono);
  // Whoever brings many wrong keys must not use up what the others may try.
  const isSuspect = (namespace: string): boolean => trials.namespaces.has(namespace);
  return [isSuspect, () => false].flatMap((isLast) => {
    return grantAll(all, mono, trials, (lane, namespace) => {
      return isBarred(namespace) || (!lane.accepted && isLast(namespace));
    });
  });
}

/** Ids that take so long hang, in a webhook, say: whoever waits for them waits for nothing. */
const RECORDING_MS = 1_000;

function forgetHanging({ recording }: Admission, mono: number): void {
  for (const [key, sinceMono] of recording) if (sinceMono <= mono - RECORDING_MS) recording.delete(key);
}

function mayBegin({ starting, recording, atOnce }: Admission): boolean {
  return starting.size + recording.size < BEGUN_PER_PLACE * atOnce;
}

function grantAll(
  all: Admission,
  mono: number,
  trials: Trials,
  isBarred: (lane: Lane, namespace: string) => boolean,
): string[] {
  const granted: string[] = [];
  for (let served = true; served;) {
    served = false;
    for (const [apiKey, lane] of lanesThatMove(all, trials)) {
      if (!lane.accepted && trials.left <= 0) continue;
      const key = mayBegin(all) ? grantOne(lane, mono, (namespace) => isBarred(lane, namespace)) : undefined;
      if (key === undefined) continue;
      served = true;
      granted.push(key);
      if (!lane.accepted) trial(trials, lane.granted.get(key));
      all.starting.add(key);
      // A lane that was served goes to the end of the line.
      all.lanes.delete(apiKey);
      all.lanes.set(apiKey, lane);
      if (all.address === undefined) continue;
      all.address = { ...all.address, probing: true };
      all.probe = key;
    }
  }
  return granted;
}

/** Of all, as they stand in line now: there may be thousands whose keys may not be tried. */
function lanesThatMove({ lanes }: Admission, trials: Trials): [apiKey: string, lane: Lane][] {
  const found: [string, Lane][] = [];
  for (const entry of lanes) {
    const [, { accepted, tickets }] = entry;
    if (tickets.size > 0 && (accepted || trials.left > 0)) found.push(entry);
  }
  return found;
}

/** What keys that were never accepted may yet try: each of them under way may be one more that is rejected. */
interface Trials {
  left: number;
  /** Those that try one now, or had one rejected of late. */
  readonly namespaces: Set<string | undefined>;
}

function trialsOf(all: Admission, mono: number): Trials {
  const limit = all.policy.rejectedKeysLimit > 0 ? all.policy.rejectedKeysLimit : Infinity;
  const trials: Trials = { left: limit, namespaces: new Set() };
  for (const { namespace } of recentRejections(all, mono)) trial(trials, namespace);
  for (const { accepted, granted } of all.lanes.values()) {
    if (!accepted) for (const namespace of granted.values()) trial(trials, namespace);
  }
  return trials;
}

function trial(trials: Trials, namespace: string | undefined): void {
  trials.left -= 1;
  trials.namespaces.add(namespace);
}

/** The intent of this turn is written and its call begins. */
export function started(all: Admission, key: string): void {
  if (all.starting.delete(key)) all.calling.add(key);
}

/** A call was made in this task's turn and came back. */
export function called(all: Admission, key: string, outcome: SubmitOutcome, moment: Moment): void {
  const lane = all.places.get(key);
  all.places.delete(key);
  all.starting.delete(key);
  all.calling.delete(key);
  noteAddress(all, outcome, moment, lane?.granted.get(key));
  if (lane === undefined) return;
  const fault = faultOf(outcome);
  const ofKey = fault !== undefined && fault.reason !== 'addressBlocked' ? { fault } : {};
  turnCalled(lane, key, { outcome, ...ofKey }, moment);
  if (outcome.kind !== 'accepted') return;
  giveNumber(all, lane);
  all.permits.set(key, lane);
  all.recording.set(key, moment.mono);
}

/** The id of this task is durable, or will not be written; false where that is nothing new. */
export function recorded(all: Admission, key: string): boolean {
  return all.recording.delete(key);
}

export function polled(all: Admission, apiKey: string, outcome: PollOutcome, moment: Moment): void {
  noteAddress(all, outcome, moment);
  const fault = faultOf(outcome);
  if (fault !== undefined && fault.reason !== 'addressBlocked') pollFaulted(laneOf(all, apiKey), fault, moment);
}

/** How much longer polls with this key rest. */
export function pollPauseMs(all: Admission, apiKey: string, mono: number): number {
  const lane = all.lanes.get(apiKey);
  return Math.max(0, (all.address?.untilMono ?? mono) - mono, lane === undefined ? 0 : pollPauseOf(lane, mono));
}

/** A task that was accepted before this process looked counts as one of the provider's threads too. */
export function holdPermit(all: Admission, key: string, apiKey: string, untilMono: number): void {
  if (all.permits.has(key)) return;
  const lane = laneOf(all, apiKey);
  giveNumber(all, lane);
  all.permits.set(key, lane);
  lane.permits.set(key, untilMono);
}

/** The provider has given its final answer, or a dead letter holds the result; false where no permit was held. */
export function returnPermit(all: Admission, key: string): boolean {
  all.permits.get(key)?.permits.delete(key);
  return all.permits.delete(key);
}

/** A call of `threadsinfo` with this key begins. */
export function lookAtThreads(all: Admission, apiKey: string): EndOfLook {
  return lookAtPool(laneOf(all, apiKey));
}

export function blockage(all: Admission, apiKey: string, mono: number): Blockage | undefined {
  const lane = all.lanes.get(apiKey);
  return lane === undefined ? undefined : blockageOf(lane, mono);
}

/** Keys of the tasks that wait for this API key. */
export function queuedFor(all: Admission, apiKey: string): string[] {
  return [...(all.lanes.get(apiKey)?.tickets.keys() ?? [])];
}

/**
 * API keys that somebody uses or whose polls rest, and how long after the last look at the threads of each the next one
 * is due. (Who only polls is not known here: a permit ends long before its task may.)
 */
export function keysInUse(all: Admission, mono: number): { apiKey: string; lookAgainMs: number | undefined }[] {
  const used = [...all.lanes].filter(([, lane]) => isUsed(lane) || pollPauseOf(lane, mono) > 0);
  return used.map(([apiKey, lane]) => ({ apiKey, lookAgainMs: lookAgainMs(lane, mono) }));
}

/** Forgets keys that nobody has used for a while: a Secret was changed or its tasks are gone. Returns which. */
export function forgetUnused(all: Admission, mono: number): string[] {
  const forgotten = [...all.lanes].filter(([, lane]) => isForgotten(lane, mono)).map(([apiKey]) => apiKey);
  for (const apiKey of forgotten) all.lanes.delete(apiKey);
  const kept = new Set(all.lanes.values());
  for (const [key, lane] of all.permits) if (!kept.has(lane)) all.permits.delete(key);
  return forgotten;
}

/** Breakers that are not closed, by reason. */
export function openBreakers(all: Admission): Record<BreakerReason, number> {
  const counts = Object.fromEntries(BREAKER_REASONS.map((reason) => [reason, 0])) as Record<BreakerReason, number>;
  const breakers = [all.address, ...Array.from(all.lanes.values(), (lane) => lane.breaker)];
  for (const breaker of breakers) if (breaker !== undefined) counts[breaker.reason] += 1;
  return counts;
}

/** Threads of one key's account. What the provider does not say is absent. */
export interface ThreadUse {
  /** In the order of their first acceptance; the number of a key that was forgotten is given again. */
  key: number;
  total: number | undefined;
  working: number | undefined;
  ours: number;
}

/** Of a key that nobody uses just now the account is not looked at: until it is forgotten, it shows `ours` alone. */
export function threadUse(all: Admission): ThreadUse[] {
  return [...all.lanes.values()].flatMap((lane) => {
    if (lane.number === undefined) return [];
    const { total, working } = isUsed(lane) ? lane.pool : {};
    return [{ key: lane.number, total, working, ours: lane.permits.size }];
  });
}

function laneOf(all: Admission, apiKey: string): Lane {
  const known = all.lanes.get(apiKey);
  if (known !== undefined) return known;
  const lane = createLane({
    maxCalls: all.policy.maxConcurrentSubmissions,
    distrusted: (mono) => distrusted(all, mono),
    address: (mono) => gate(all.address, mono),
  });
  all.lanes.set(apiKey, lane);
  return lane;
}

/** The account of its key is real, and worth to be looked at by people. */
function giveNumber({ lanes }: Admission, lane: Lane): void {
  if (lane.number !== undefined) return;
  const taken = new Set(Array.from(lanes.values(), ({ number }) => number));
  lane.number = 1;
  while (taken.has(lane.number)) lane.number += 1;
}

function distrusted(all: Admission, mono: number): boolean {
  const { rejectedKeysLimit } = all.policy;
  return rejectedKeysLimit > 0 && recentRejections(all, mono).length >= rejectedKeysLimit;
}

function recentRejections({ rejections }: Admission, mono: number): Rejection[] {
  while ((rejections[0]?.mono ?? Infinity) <= mono - REJECTIONS_WINDOW_MS) rejections.shift();
  return rejections;
}

/** A ban shuts everything; after its time any answer that is no ban lifts it. */
function noteAddress(all: Admission, outcome: SubmitOutcome | PollOutcome, moment: Moment, namespace?: string): void {
  const fault = faultOf(outcome);
  if (fault?.reason === 'keyRejected') recentRejections(all, moment.mono).push({ mono: moment.mono, namespace });
  if (fault?.reason === 'addressBlocked') {
    all.address = trip(all.address, fault, moment.mono, moment.random);
  } else if (all.address !== undefined && all.address.untilMono <= moment.mono) {
    const answered = outcome.kind !== 'unreachable' && outcome.kind !== 'unknown';
    all.address = relieved(all.address, answered);
  }
}
