/**
 * How many requests may be in flight at a server of unknown strength, learned from how long its answers take. Past what
 * it can do at once, more in flight only wait there, where nobody's priorities count; so the rest should wait here.
 *
 * Answers are looked at in rounds, as many as may be in flight, each by its median. `idleMs` is what an answer takes while
 * nothing queues. A round in which the limit was in the way moves it: one that took longer than `tolerance` times that
 * cuts it in proportion; on top of it there is always room for a few that queue (the square root), which is how it grows.
 * At rest that is `tolerance` times what the server does at once, and the root of it. An answer that is no answer (turned
 * away) halves it.
 *
 * Whoever keeps a server busy never sees it idle. So at first, then after every half a minute of that, and where the limit
 * stands at its floor, one round goes with two in flight (a *probe*). It has no timer and no clock: instants are
 * arguments, of one monotonic clock.
 */

export interface LimitOptions {
  initial: number;
  /** Never fewer, probes aside: who is cut to nothing learns nothing. */
  floor: number;
  ceiling: number;
  /** Of two that share a server the one with the larger tolerance keeps its share while the other makes room. */
  tolerance: number;
}

export interface Answer {
  mono: number;
  tookMs: number;
  /** How many were in flight when it was sent, itself included. */
  inFlight: number;
  /** Of the kind whose times are compared. Others only take places. */
  counts: boolean;
}

export interface Limit {
  now(): number;
  answered(answer: Answer): void;
  /** The server turned a request away. */
  overloaded(mono: number): void;
  /**
   * Whether requests queue: the limit was in the way of the last round, or the last two took several times what an idle
   * server takes, be it through others. One burst is no queue.
   */
  isPressed(mono: number): boolean;
}

/** Fewer answers than this say little. */
const LEAST_ANSWERS = 8;
/** So many are in flight while the limit asks how quick the server is without its queue. */
const PROBE_WIDTH = 2;
const PROBE_AFTER_MS = 30_000;
const LONGEST_PROBE_MS = 2_000;
/** Who was cut to the floor for so many rounds may be wrong about an idle server; for twice as many if that was not it. */
const PROBE_AFTER_FLOORS = 8;
/** How far an answer moves what is known of an idle server: of a probe; one that was quicker; a slower one. */
const PROBED_SHARE = 0.5;
const QUICKER_SHARE = 0.1;
const SLOWER_MS = 30_000;
/** How far one round moves the limit towards what it says. */
const STEP = 0.5;
const DEEPEST_CUT = 0.5;
/** More than a single stall makes of an idle server, and less than a crowd. */
const PRESSED_TIMES = 3;
/** What was seen longer ago says nothing about now. */
const PRESSED_FOR_MS = 1_000;

interface State extends LimitOptions {
  width: number;
  idleMs: number | undefined;
  /** When the server was last seen without our queue. */
  provedMono: number;
  probes: boolean;
  /** Rounds in a row that ended at the floor, and how many of them are enough for a probe. */
  floors: number;
  patience: number;
  /** Slow rounds in a row. */
  slow: number;
  pressedMono: number;
  /** Of this round: its beginning, its answers, and how many of those were sent into the last place. */
  sinceMono: number;
  took: number[];
  last: number;
}

export function createLimit(options: LimitOptions): Limit {
  const state: State = {
    ...options,
    width: options.initial,
    idleMs: undefined,
    provedMono: -Infinity,
    probes: false,
    floors: 0,
    patience: PROBE_AFTER_FLOORS,
    slow: 0,
    pressedMono: -Infinity,
    sinceMono: -Infinity,
    took: [],
    last: 0,
  };
  const now = (): number => widthOf(state);
  return {
    now,
    answered({ mono, tookMs, inFlight, counts }) {
      if (state.probes && mono - state.sinceMono > LONGEST_PROBE_MS) moveTo(state, state.width, mono);
      if (!counts) return;
      // What was sent before the limit changed says how it was before.
      if (mono - tookMs < state.sinceMono) return;
      state.took.push(tookMs);
      if (inFlight >= now()) state.last += 1;
      if (state.took.length >= Math.max(LEAST_ANSWERS, now())) endRound(state, mono);
    },
    overloaded(mono) {
      state.pressedMono = mono;
      // Once for all that were in flight together.
      if (mono > state.sinceMono + (state.idleMs ?? 0)) moveTo(state, state.width * DEEPEST_CUT, mono);
    },
    isPressed: (mono) => mono - state.pressedMono < PRESSED_FOR_MS,
  };
}

function widthOf({ width, probes }: State): number {
  return Math.min(Math.floor(width), probes ? PROBE_WIDTH : Infinity);
}

function endRound(state: State, mono: number): void {
  const { width, tolerance, probes, took, last } = state;
  const tookMs = median(took);
  // One burst is no crowd, and it is no rest either.
  const full = 2 * last >= took.length;
  state.idleMs = idleAfter(state, tookMs, mono);
  if (last === 0 || probes) state.provedMono = mono;
  const allowedMs = tolerance * state.idleMs;
  state.slow = tookMs > PRESSED_TIMES * state.idleMs ? state.slow + 1 : 0;
  state.pressedMono = full || state.slow > 1 ? mono : -Infinity;
  const moves = full && !probes;
  moveTo(state, moves ? widthAfter(width, Math.min(1, allowedMs / tookMs)) : width, mono);
  if (moves) probeIfDue(state, mono);
}

/** @param share of the limit that the server can take by this round */
function widthAfter(width: number, share: number): number {
  const wanted = width * Math.max(DEEPEST_CUT, share) + Math.sqrt(width);
  return width + STEP * (wanted - width);
}

function probeIfDue(state: State, mono: number): void {
  const isDown = state.width === state.floor;
  state.floors = isDown ? state.floors + 1 : 0;
  if (!isDown) state.patience = PROBE_AFTER_FLOORS;
  state.probes = state.floors >= state.patience || mono - state.provedMono >= PROBE_AFTER_MS;
  if (!state.probes) return;
  state.floors = 0;
  if (isDown) state.patience *= 2;
}

function idleAfter(state: State, tookMs: number, mono: number): number {
  const { idleMs, probes, provedMono, sinceMono, last } = state;
  if (idleMs === undefined) return tookMs;
  const towards = (share: number): number => idleMs + share * (tookMs - idleMs);
  // What was learned in a crowd is no more than a beginning.
  if (probes) return towards(provedMono === -Infinity ? 1 : PROBED_SHARE);
  if (tookMs < idleMs) return towards(QUICKER_SHARE);
  // What is slow while the limit is in nobody's way is slow through others, or for good.
  return last > 0 ? idleMs : towards(Math.min(PROBED_SHARE, (mono - sinceMono) / SLOWER_MS));
}

/** Begins a round. */
function moveTo(state: State, width: number, mono: number): void {
  state.width = Math.min(state.ceiling, Math.max(state.floor, width));
  state.probes = false;
  state.sinceMono = mono;
  state.took = [];
  state.last = 0;
}

function median(values: number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] as number;
}
