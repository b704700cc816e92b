/**
 * The lanes as the controller uses them: feeds `core/task/admit`, pumps it when something may start, asks the provider
 * for its threads, and wakes waiting tasks when what they should say has changed. One timer for all of it, and only
 * while this process acts. The rules themselves are in core.
 */
import type { PollOutcome, SubmitOutcome } from '../../core/outcome.ts';
import type { Blockage, LaneView, Moment } from '../../core/task/facts.ts';
import type { TaskPolicy } from '../../core/task/policy.ts';
import type { ProviderClient } from '../../provider/client.ts';
import type { BreakerReason } from '../../core/task/breaker.ts';
import type { Waiting } from '../../core/task/lane.ts';
import * as admit from '../../core/task/admit.ts';
import { SECRET_REREAD_MS } from '../../core/task/policy.ts';
import { type SharedPacer, createSharedPacer } from '../../waiting/pace.ts';

export interface Lanes {
  view(key: string, apiKey: string | undefined): LaneView;
  join(task: Waiting, apiKey: string): void;
  /** Gives up the place, or the turn unless its call is under way. */
  leave(key: string): void;
  /** The call of this turn begins: the next intent may be written, and the turn lasts until `called`. */
  started(key: string): void;
  called(key: string, outcome: SubmitOutcome): void;
  /** Its id is durable, or its task gone: others may begin. */
  recorded(key: string): void;
  polled(apiKey: string, outcome: PollOutcome): void;
  /** Books the next poll of this key, at the share of a namespace: how many milliseconds to wait for it. 0: it is made now. */
  bookPoll(apiKey: string, namespace: string): number;
  /** The time that was booked has come: 0, or so many milliseconds more. */
  usePoll(apiKey: string): number;
  holdPermit(key: string, apiKey: string, forMs: number): void;
  returnPermit(key: string): void;
  /** Whether polls with this key rest just now. */
  pollsRest(apiKey: string): boolean;
  /** Those who wait for this key look again. */
  wakeQueued(apiKey: string): void;
  /** Undefined while this process does not act: nobody would end what it knew then. */
  openBreakers(): Record<BreakerReason, number> | undefined;
  /** Of the keys in use; none while this process does not act. */
  threadUse(): admit.ThreadUse[];
  start(): void;
  /** Gives up every place and unused turn; breakers and permits stay. */
  stop(): void;
}

export interface LanesOptions {
  policy: TaskPolicy;
  provider: Pick<ProviderClient, 'threads'>;
  moment: () => Moment;
  /** `urgent`: it has its turn, which others of its API key wait for. */
  wake: (key: string, how?: 'urgent') => void;
  /** Whether tasks of this namespace could not use a turn. */
  isBarred: (namespace: string) => boolean;
  /** Requests that the API server takes at once. */
  atOnce: () => number;
  /** Every 10 s: the API keys that waiting tasks cannot use just now. */
  onBlocked: (apiKeys: ReadonlySet<string>) => void;
  admission?: admit.Admission | undefined;
}

const TICK_MS = 500;
const THREADS_TIMEOUT_MS = 10_000;

interface State {
  readonly options: LanesOptions;
  readonly all: admit.Admission;
  readonly pacers: Map<string, SharedPacer>;
  readonly threadsAskedMono: Map<string, number>;
  /** What the waiting tasks of a key were told last. */
  readonly told: Map<string, string>;
  pumping: boolean;
  ticker: NodeJS.Timeout | undefined;
  rereadMono: number;
}

export function createLanes(options: LanesOptions): Lanes {
  const all = options.admission ?? admit.createAdmission(options.policy);
  const state: State = {
    options,
    all,
    pacers: new Map(),
    threadsAskedMono: new Map(),
    told: new Map(),
    pumping: false,
    ticker: undefined,
    rereadMono: -Infinity,
  };
  const mono = (): number => options.moment().mono;
  return {
    view: (key, apiKey) => viewOf(state, key, apiKey),
    join(task, apiKey) {
      admit.join(all, task, apiKey, mono());
      requestPump(state);
    },
    leave(key) {
      if (admit.leave(all, key)) requestPump(state);
    },
    started(key) {
      admit.started(all, key);
      requestPump(state);
    },
    called(key, outcome) {
      admit.called(all, key, outcome, options.moment());
      requestPump(state);
    },
    recorded(key) {
      if (admit.recorded(all, key)) requestPump(state);
    },
    polled: (apiKey, outcome) => admit.polled(all, apiKey, outcome, options.moment()),
    bookPoll: (apiKey, namespace) => bookPoll(state, apiKey, namespace, mono()),
    usePoll: (apiKey) => usePoll(state, apiKey, mono()),
    holdPermit: (key, apiKey, forMs) => admit.holdPermit(all, key, apiKey, mono() + forMs),
    returnPermit(key) {
      if (admit.returnPermit(all, key)) requestPump(state);
    },
    pollsRest: (apiKey) => admit.pollPauseMs(all, apiKey, mono()) > 0,
    wakeQueued: (apiKey) => wakeQueued(state, apiKey),
    openBreakers: () => (state.ticker === undefined ? undefined : admit.openBreakers(all)),
    threadUse: () => (state.ticker === undefined ? [] : admit.threadUse(all)),
    start() {
      state.ticker ??= setInterval(() => tick(state), TICK_MS).unref();
    },
    stop: () => stop(state),
  };
}

function stop(state: State): void {
  clearInterval(state.ticker);
  state.ticker = undefined;
  admit.leaveAll(state.all);
}

function viewOf({ all, options }: State, key: string, apiKey: string | undefined): LaneView {
  const ticket = admit.ticketOf(all, key, apiKey);
  if (apiKey === undefined) return { ticket, pollPauseMs: 0 };
  const { mono } = options.moment();
  const blockage = admit.blockage(all, apiKey, mono);
  const pollPauseMs = admit.pollPauseMs(all, apiKey, mono);
  return { ticket, pollPauseMs, ...(blockage === undefined ? {} : { blockage }) };
}

/** Pumps when everything that is being added now has been: of a batch the oldest task goes first, not the first added. */
function requestPump(state: State): void {
  if (state.pumping || state.ticker === undefined) return;
  state.pumping = true;
  setImmediate(() => {
    state.pumping = false;
    if (state.ticker !== undefined) pump(state);
  });
}

function pump({ all, options }: State): void {
  all.atOnce = options.atOnce();
  for (const key of admit.pump(all, options.moment().mono, options.isBarred)) options.wake(key, 'urgent');
}

/** What another key in the Secret may end. */
const NEEDS_ANOTHER_KEY: ReadonlySet<string | undefined> = new Set(['KeyRejected', 'AccountExhausted']);

function tick(state: State): void {
  const { all, options } = state;
  const { mono } = options.moment();
  pump(state);
  const blocked = new Set<string>();
  for (const { apiKey, lookAgainMs } of admit.keysInUse(all, mono)) {
    const blockage = admit.blockage(all, apiKey, mono);
    if (NEEDS_ANOTHER_KEY.has(blockage?.reason)) blocked.add(apiKey);
    tell(state, apiKey, blockage);
    askThreads(state, apiKey, mono, lookAgainMs);
  }
  if (mono - state.rereadMono < SECRET_REREAD_MS) return;
  state.rereadMono = mono;
  for (const apiKey of admit.forgetUnused(all, mono)) {
    for (const known of [state.pacers, state.threadsAskedMono, state.told]) known.delete(apiKey);
  }
  options.onBlocked(blocked);
}

/** Waiting tasks look again when there is something new for them to say; a lane that moves again says nothing. */
function tell(state: State, apiKey: string, blockage: Blockage | undefined): void {
  const text = blockage === undefined ? '' : `${blockage.reason} ${blockage.message ?? ''}`;
  if (text === (state.told.get(apiKey) ?? '')) return;
  state.told.set(apiKey, text);
  if (text !== '') wakeQueued(state, apiKey);
}

function wakeQueued({ all, options }: State, apiKey: string): void {
  for (const key of admit.queuedFor(all, apiKey)) options.wake(key);
}

/** No answer leaves the number that was known. @param lookAgainMs undefined: never */
function askThreads(state: State, apiKey: string, mono: number, lookAgainMs: number | undefined): void {
  if (lookAgainMs === undefined) return;
  const askedMono = state.threadsAskedMono.get(apiKey) ?? -Infinity;
  if (mono - askedMono < lookAgainMs || admit.pollPauseMs(state.all, apiKey, mono) > 0) return;
  state.threadsAskedMono.set(apiKey, mono);
  void readThreads(state, apiKey);
}

async function readThreads(state: State, apiKey: string): Promise<void> {
  const end = admit.lookAtThreads(state.all, apiKey);
  end(await state.options.provider.threads({ apiKey }, { timeoutMs: THREADS_TIMEOUT_MS }), state.options.moment());
  requestPump(state);
}

/** The next poll with this key; the answer is how many milliseconds ahead it lies. */
function bookPoll(state: State, apiKey: string, namespace: string, mono: number): number {
  const waitMs = Math.ceil(pacerOf(state, apiKey).book(namespace, mono) - mono);
  return waitMs > 0 ? waitMs : usePoll(state, apiKey, mono);
}

function usePoll(state: State, apiKey: string, mono: number): number {
  return pacerOf(state, apiKey).take(mono) ? 0 : Math.ceil(1_000 / state.options.policy.maxPollsPerSecond);
}

function pacerOf({ pacers, options }: State, apiKey: string): SharedPacer {
  const known = pacers.get(apiKey);
  if (known !== undefined) return known;
  const pacer = createSharedPacer(options.policy.maxPollsPerSecond);
  pacers.set(apiKey, pacer);
  return pacer;
}
