/**
 * One lane: all tasks that use the same API key. It hands out turns, to the namespaces one after the other and within
 * each to the oldest task, so that no namespace waits for another's backlog. Four limits: calls at once (`window`), one
 * call at a time while the key was never accepted, the provider's threads, and its breaker.
 *
 * A task in its lane. `queued`: it has a place, and a ticket that says when it came; left for a turn or given up.
 * `granted`: its turn; it writes its intent and makes its call, or gives the turn up. From the start of the call to its
 * end `admit.ts` shows it as `calling`, and it cannot leave. Then it is out; where the call was accepted it holds a
 * permit (one of the provider's threads) until the provider's final answer, or until that is forgotten.
 * A mutable value and its functions, without I/O, clock or chance; `core/task/admit` owns the lanes.
 */
import type { SubmitOutcome, ThreadCounts } from '../outcome.ts';
import type { Blockage, Moment } from './facts.ts';
import { ZERO_BALANCE } from '../provider-codes.ts';
import { BREAKER_SAYS, type Breaker, type Fault, gate, relieved, trip } from './breaker.ts';
import { type Heap, createHeap } from '../../waiting/heap.ts';
import { CROWDED_REREAD_MS, PERMIT_MS, THREADS_REREAD_MS } from './policy.ts';
import { type Pool, beginLook, bought, createPool, endLook, outlived } from './pool.ts';

/** A lane that granted nothing for so long while tasks wait says that they wait. */
const STUCK_MS = 2_000;
/** How long polls rest after an answer about load that names no time. */
const BUSY_POLL_PAUSE_MS = 10_000;
/** A lane that nobody uses for so long is forgotten, and what is known of its key with it. */
const FORGET_MS = 10 * 60_000;

/** A task that waits. `age`: when it was created; the oldest of its namespace goes first. */
export interface Waiting {
  key: string;
  namespace: string;
  age: number;
}

interface Ticket extends Waiting {
  serial: number;
}

/** What a lane asks of the others. */
export interface Surroundings {
  maxCalls: number;
  /** Too many keys were rejected lately, so keys never accepted wait. */
  distrusted: (mono: number) => boolean;
  /** The breaker of this address. */
  address: (mono: number) => 'open' | 'probe' | 'shut';
}

export interface Lane {
  /** What its key is called where the key may not be; one that was never accepted is called nothing. */
  number: number | undefined;
  readonly around: Surroundings;
  /** By namespace, in the order of the round: the first is served next. */
  readonly waiting: Map<string, Heap<Ticket>>;
  /** The valid ticket of a task; an item of a heap that is not here was given up. */
  readonly tickets: Map<string, Ticket>;
  /** With their namespaces. */
  readonly granted: Map<string, string>;
  /** Until when each open task counts as one of the provider's threads. */
  readonly permits: Map<string, number>;
  serial: number;
  readonly pool: Pool;
  accepted: boolean;
  /** Calls allowed at once: one after a fault, doubling with each acceptance, so that a recovery is no stampede. */
  window: number;
  breaker: Breaker | undefined;
  lastTurnMono: number;
  pollsPausedUntil: number;
  /** When it was first seen without anybody in it. */
  unusedSinceMono: number | undefined;
}

export function createLane(around: Surroundings): Lane {
  return {
    number: undefined,
    around,
    waiting: new Map(),
    tickets: new Map(),
    granted: new Map(),
    permits: new Map(),
    serial: 0,
    pool: createPool(),
    accepted: false,
    window: around.maxCalls,
    breaker: undefined,
    lastTurnMono: -Infinity,
    pollsPausedUntil: -Infinity,
    unusedSinceMono: undefined,
  };
}

export function joinLane(lane: Lane, task: Waiting, mono: number): void {
  if (lane.tickets.has(task.key) || lane.granted.has(task.key)) return;
  if (lane.tickets.size === 0) lane.lastTurnMono = mono;
  lane.serial += 1;
  const ticket = { ...task, serial: lane.serial };
  lane.tickets.set(task.key, ticket);
  const ofNamespace = lane.waiting.get(task.namespace) ?? createHeap<Ticket>(isOlder);
  ofNamespace.push(ticket);
  lane.waiting.set(task.namespace, ofNamespace);
}

function isOlder(left: Ticket, right: Ticket): boolean {
  return left.age === right.age ? left.serial < right.serial : left.age < right.age;
}

/** Gives up a place, or a turn that was not used. */
export function leaveLane(lane: Lane, key: string): void {
  lane.tickets.delete(key);
  if (lane.granted.delete(key)) lane.breaker = relieved(lane.breaker, false);
}

export function ticketIn(lane: Lane, key: string): 'none' | 'queued' | 'granted' {
  if (lane.granted.has(key)) return 'granted';
  return lane.tickets.has(key) ? 'queued' : 'none';
}

/** Grants one turn if the limits allow it, and returns whose it is. */
export function grantOne(lane: Lane, mono: number, isBarred: (namespace: string) => boolean): string | undefined {
  if (lane.tickets.size === 0 || turnsLeft(lane, mono) <= 0) return undefined;
  const ticket = nextInRound(lane, isBarred);
  if (ticket === undefined) return undefined;
  lane.tickets.delete(ticket.key);
  lane.granted.set(ticket.key, ticket.namespace);
  lane.lastTurnMono = mono;
  if (lane.breaker !== undefined) lane.breaker = { ...lane.breaker, probing: true };
  return ticket.key;
}

/** A call was made in this turn and is over. */
export function turnCalled(
  lane: Lane,
  key: string,
  call: { outcome: SubmitOutcome; fault?: Fault },
  moment: Moment,
): void {
  lane.granted.delete(key);
  const accepted = call.outcome.kind === 'accepted';
  if (accepted) {
    lane.accepted = true;
    lane.permits.set(key, moment.mono + PERMIT_MS);
    bought(lane.pool);
  }
  const fault = isZeroBalance(call.outcome) ? zeroBalance(lane, call.fault) : call.fault;
  lane.window = fault === undefined ? Math.min(lane.around.maxCalls, accepted ? lane.window * 2 : lane.window) : 1;
  lane.breaker =
    fault === undefined ? relieved(lane.breaker, accepted) : trip(lane.breaker, fault, moment.mono, moment.random);
}

function isZeroBalance(outcome: SubmitOutcome): boolean {
  return outcome.kind === 'refused' && outcome.code === ZERO_BALANCE;
}

/** The next look says what it means; of an account that is known to be exhausted it is nothing new. */
function zeroBalance({ pool, breaker }: Lane, fault: Fault | undefined): Fault | undefined {
  pool.refused = true;
  return breaker?.reason === 'accountExhausted' ? { reason: 'accountExhausted' } : fault;
}

/** Told the answer of `threadsinfo`, when it is there. */
export type EndOfLook = (counts: ThreadCounts | undefined, moment: Moment) => void;

/** A call of `threadsinfo` begins. */
export function lookAtPool(lane: Lane): EndOfLook {
  const look = beginLook(lane.pool, openOf(lane));
  return (counts, { mono, random }) => {
    const verdict = endLook(lane.pool, look, counts, { ours: openOf(lane), mono });
    if (verdict === 'exhausted') lane.breaker = trip(lane.breaker, { reason: 'accountExhausted' }, mono, random);
    // The plan was renewed, and its threads are in use.
    const renewed = verdict === 'busy' && lane.breaker?.reason === 'accountExhausted';
    if (renewed) lane.breaker = trip(undefined, { reason: 'busy' }, mono, random);
  };
}

/**
 * How long after the last look at the threads the next one is due; undefined: never. A key that was never accepted is
 * asked with only where the provider knows its account. Who waits for what others use wants to know soon.
 */
export function lookAgainMs(lane: Lane, mono: number): number | undefined {
  if (lane.pool.refused) return 0;
  if (!lane.accepted) return undefined;
  const crowded = lane.tickets.size > 0 && lane.pool.others > 0 && threadsLeft(lane, mono) <= 0;
  return crowded ? CROWDED_REREAD_MS : THREADS_REREAD_MS;
}

function openOf({ permits, granted }: Lane): number {
  return permits.size + granted.size;
}

/** `res.php` spoke about the key: polls rest, and submissions too unless it was only about load. */
export function pollFaulted(lane: Lane, fault: Fault, moment: Moment): void {
  if (fault.reason === 'unreachable') return;
  if (fault.reason === 'busy') {
    lane.pollsPausedUntil = moment.mono + (fault.retryAfterMs ?? BUSY_POLL_PAUSE_MS);
    return;
  }
  lane.breaker = trip(lane.breaker, fault, moment.mono, moment.random);
  lane.pollsPausedUntil = lane.breaker.untilMono;
}

export function pollPauseOf(lane: Lane, mono: number): number {
  const { breaker } = lane;
  const keyRests = breaker?.reason === 'keyRejected' || breaker?.reason === 'addressNotAllowed';
  return Math.max(0, lane.pollsPausedUntil - mono, keyRests ? breaker.untilMono - mono : 0);
}

/** Why nobody gets through, as the waiting tasks say it; undefined while the lane moves. */
export function blockageOf(lane: Lane, mono: number): Blockage | undefined {
  if (lane.around.address(mono) !== 'open') return BREAKER_SAYS.addressBlocked;
  if (lane.breaker !== undefined) return BREAKER_SAYS[lane.breaker.reason];
  if (!lane.accepted && lane.around.distrusted(mono)) {
    return { reason: 'KeyRejected', message: 'Too many API keys were rejected of late; untried keys wait.' };
  }
  if (threadsLeft(lane, mono) <= 0) {
    return { reason: 'ProviderBusy', message: "All threads of the API key's account are in use." };
  }
  return lane.tickets.size > 0 && mono - lane.lastTurnMono >= STUCK_MS ? { reason: 'Pending' } : undefined;
}

/** Whether anybody waits, calls or holds a permit. */
export function isUsed(lane: Lane): boolean {
  return lane.tickets.size + lane.granted.size + lane.permits.size > 0;
}

/** Whether its key can be forgotten; asked now and then. A key that still rests is not. */
export function isForgotten(lane: Lane, mono: number): boolean {
  endPermits(lane, mono);
  if (isUsed(lane)) lane.unusedSinceMono = undefined;
  else lane.unusedSinceMono ??= mono;
  const rests = (lane.breaker?.untilMono ?? 0) > mono || lane.pollsPausedUntil > mono;
  return !rests && mono - (lane.unusedSinceMono ?? mono) >= FORGET_MS;
}

/** The oldest task of the namespace whose turn it is; the namespace goes to the end of the round. */
function nextInRound({ waiting, tickets }: Lane, isBarred: (namespace: string) => boolean): Ticket | undefined {
  for (const [namespace, heap] of waiting) {
    if (isBarred(namespace)) continue;
    waiting.delete(namespace);
    const ticket = oldest(heap, tickets);
    if (heap.size > 0) waiting.set(namespace, heap);
    if (ticket !== undefined) return ticket;
  }
  return undefined;
}

function oldest(heap: Heap<Ticket>, tickets: ReadonlyMap<string, Ticket>): Ticket | undefined {
  for (;;) {
    const ticket = heap.pop();
    if (ticket === undefined || tickets.get(ticket.key) === ticket) return ticket;
  }
}

function turnsLeft(lane: Lane, mono: number): number {
  const gates = [gate(lane.breaker, mono), lane.around.address(mono)];
  if (gates.includes('shut')) return 0;
  if (!lane.accepted && lane.around.distrusted(mono)) return 0;
  const atOnce = gates.includes('probe') || !lane.accepted ? 1 : lane.window;
  return Math.min(atOnce - lane.granted.size, threadsLeft(lane, mono));
}

function threadsLeft(lane: Lane, mono: number): number {
  const { total } = lane.pool;
  if (total === undefined) return Infinity;
  const left = (): number => total - lane.pool.others - openOf(lane);
  if (left() <= 0) endPermits(lane, mono);
  return left();
}

/** The provider has forgotten tasks that old; unless it lets them wait. */
function endPermits({ permits, pool }: Lane, mono: number): void {
  const before = permits.size;
  for (const [key, untilMono] of permits) if (untilMono <= mono) permits.delete(key);
  outlived(pool, before - permits.size);
}
