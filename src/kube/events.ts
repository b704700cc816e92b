/**
 * Records Kubernetes Events (`events.k8s.io/v1`) for the few turns that a person needs to see. It never blocks, never
 * fails its caller, and never becomes a load: repetitions are counted in a series that is written now and then, what
 * exceeds the rate or the backlog is dropped and counted. Nothing depends on an Event arriving. Called by the
 * controllers with what `announce` computed. Needs the verbs create and patch on events.
 * Source: "Event API" of Kubernetes, whose fields are bounded: note 1,024 bytes, action and reason 128 characters.
 */
import { randomBytes } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { microTime } from './micro-time.ts';
import type { Resource } from './types.ts';

const EVENTS: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events' };

export interface EventSubject {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
  resourceVersion?: string | undefined;
}

export interface EventRecord {
  object: EventSubject;
  type: 'Normal' | 'Warning';
  /** UpperCamelCase, from a closed list: why. */
  reason: string;
  /** UpperCamelCase: what was done. */
  action: string;
  /** For people. Without secrets, ids and clock times. */
  note: string;
}

export interface EventRecorderOptions {
  client: Pick<KubeClient, 'execute'>;
  /** For example `captcha-operator.io/task-controller`. */
  reportingController: string;
  /** The pod or process. */
  reportingInstance: string;
  now?: () => number;
  hooks?: {
    /** Not written: over the rate, backlog full, or refused by the server. */
    onDropped?(why: 'rate' | 'backlog' | 'refused'): void;
  };
  /** Events per second on average; a burst of 25 more is let through. */
  perSecond?: number;
}

export interface EventRecorder {
  record(event: EventRecord): void;
  /** Writes what waits, for at most `drainMs`, and ends. */
  stop(options?: { drainMs: number }): Promise<void>;
}

interface Series {
  namespace: string;
  name: string;
  count: number;
  /** What the server was told last. */
  toldCount: number;
  lastMs: number;
}

type Job = () => Promise<boolean>;

interface State {
  options: EventRecorderOptions;
  now: () => number;
  series: Map<string, Series>;
  jobs: Job[];
  writing: Promise<void> | undefined;
  tokens: number;
  refilledMs: number;
  sweeper: NodeJS.Timeout | undefined;
  stopped: boolean;
}

const BURST = 25;
const BACKLOG = 500;
/** A repetition within this time continues the series, as in client-go. */
const SERIES_IDLE_MS = 360_000;
const SERIES_WRITE_EVERY_MS = 60_000;
const MAX_SERIES = 4_096;
const NOTE_LIMIT = 1_000;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const now = options.now ?? Date.now;
  const state: State = {
    options,
    now,
    series: new Map(),
    jobs: [],
    writing: undefined,
    tokens: BURST,
    refilledMs: performance.now(),
    sweeper: undefined,
    stopped: false,
  };
  return {
    record(event) {
      if (state.stopped) return;
      const key = [event.object.uid, event.type, event.reason, event.action, event.note].join('\n');
      const known = state.series.get(key);
      if (known !== undefined && now() - known.lastMs < SERIES_IDLE_MS) repeat(state, known);
      else begin(state, key, event);
    },
    async stop({ drainMs } = { drainMs: 2_000 }) {
      state.stopped = true;
      clearTimeout(state.sweeper);
      writeSeries(state);
      if (state.writing === undefined) return;
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, drainMs);
      await Promise.race([state.writing, late]);
      clearTimeout(timer);
      state.jobs = [];
    },
  };
}

function begin(state: State, key: string, event: EventRecord): void {
  if (!takeToken(state)) return state.options.hooks?.onDropped?.('rate');
  const { object } = event;
  const name = `${object.name.slice(0, 230).replace(/[^a-z0-9]+$/, '')}.${randomBytes(8).toString('hex')}`;
  const series: Series = { namespace: object.namespace, name, count: 1, toldCount: 1, lastMs: state.now() };
  const body = eventObject(state, event, series);
  const isQueued = enqueue(state, async () => {
    const { client } = state.options;
    const reply = await client.execute({ verb: 'create', resource: EVENTS, namespace: object.namespace, object: body });
    return reply.ok;
  });
  if (!isQueued) return undefined;
  // The oldest series ends where there are too many: its next repetition is simply a new Event.
  if (state.series.size >= MAX_SERIES) state.series.delete(state.series.keys().next().value ?? '');
  state.series.set(key, series);
  return undefined;
}

function repeat(state: State, series: Series): void {
  series.count++;
  series.lastMs = state.now();
  state.sweeper ??= setTimeout(() => {
    state.sweeper = undefined;
    writeSeries(state);
  }, SERIES_WRITE_EVERY_MS).unref();
}

/** Tells the server of repetitions. */
function writeSeries(state: State): void {
  for (const series of state.series.values()) {
    if (series.count === series.toldCount) continue;
    series.toldCount = series.count;
    const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastMs) } };
    enqueue(state, async () => {
      const { namespace, name } = series;
      const reply = await state.options.client.execute({
        verb: 'mergePatch',
        resource: EVENTS,
        namespace,
        name,
        patch,
      });
      return reply.ok;
    });
  }
}

function enqueue(state: State, job: Job): boolean {
  if (state.jobs.length >= BACKLOG) {
    state.options.hooks?.onDropped?.('backlog');
    return false;
  }
  state.jobs.push(job);
  state.writing ??= writeAll(state);
  return true;
}

/** One after the other: Events go behind everything else. */
async function writeAll(state: State): Promise<void> {
  for (let job = state.jobs.shift(); job !== undefined; job = state.jobs.shift()) {
    if (!(await job())) state.options.hooks?.onDropped?.('refused');
  }
  state.writing = undefined;
}

function takeToken(state: State): boolean {
  const { perSecond = 5 } = state.options;
  const nowMs = performance.now();
  state.tokens = Math.min(BURST, state.tokens + ((nowMs - state.refilledMs) / 1000) * perSecond);
  state.refilledMs = nowMs;
  if (state.tokens < 1) return false;
  state.tokens--;
  return true;
}

function eventObject(state: State, event: EventRecord, series: Series): object {
  const { reportingController, reportingInstance } = state.options;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: series.namespace, name: series.name },
    eventTime: microTime(series.lastMs),
    reportingController,
    reportingInstance: reportingInstance.slice(0, 128),
    action: event.action.slice(0, 128),
    reason: event.reason.slice(0, 128),
    regarding: event.object,
    note: boundedNote(event.note),
    type: event.type,
  };
}

/** At most 1,024 bytes; cut between characters. */
function boundedNote(note: string): string {
  if (Buffer.byteLength(note) <= NOTE_LIMIT) return note;
  return `${Buffer.from(note).subarray(0, NOTE_LIMIT).toString('utf8').replace(/�+$/, '')}…`;
}
