/**
 * Records Kubernetes Events (`events.k8s.io/v1`) for the few turns that a person needs to see. It never blocks, never
 * fails its caller, and never becomes a load: repetitions are counted in a series that is written now and then, what
 * exceeds the rate or the backlog is dropped and counted. What an outage kept back is tried again every minute, a
 * dozen times. Nothing depends on an Event arriving. Needs the verbs create and patch on events.
 * Source: "Event API" of Kubernetes, whose fields are bounded: note 1,024 bytes, action and reason 128 characters.
 */
import { randomBytes } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { createLine } from '../waiting/line.ts';
import type { Line } from '../waiting/line.ts';
import { createPacer } from '../waiting/pace.ts';
import type { Pacer } from '../waiting/pace.ts';
import { within } from './pause.ts';
import { microTime } from './types.ts';
import type { ApiReply, Resource } from './types.ts';

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
  key: string;
  event: EventRecord;
  name: string;
  count: number;
  /** What the server was told last; 0: nothing yet. */
  toldCount: number;
  firstMs: number;
  lastMs: number;
  /** Waits in the line of those to be written. */
  queued: boolean;
  /** In a row. */
  failures: number;
}

interface State {
  options: EventRecorderOptions;
  now: () => number;
  series: Map<string, Series>;
  line: Line<Series>;
  writing: Promise<void> | undefined;
  pacer: Pacer;
  sweeper: NodeJS.Timeout | undefined;
  stopped: boolean;
}

const BURST = 25;
const BACKLOG = 500;
/** A repetition within this time continues the series, as in client-go. */
const SERIES_IDLE_MS = 360_000;
const SERIES_WRITE_EVERY_MS = 60_000;
const MAX_SERIES = 4_096;
/** As in client-go; a minute apart here. */
const MAX_TRIES = 12;
const NOTE_LIMIT = 1_000;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const now = options.now ?? Date.now;
  const state: State = {
    options,
    now,
    series: new Map(),
    line: createLine(),
    writing: undefined,
    pacer: createPacer(options.perSecond ?? 5, BURST),
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
      await within(state.writing, drainMs);
      state.line.clear();
    },
  };
}

function begin(state: State, key: string, event: EventRecord): void {
  if (!state.pacer.take(performance.now())) return state.options.hooks?.onDropped?.('rate');
  const { object } = event;
  const name = `${object.name.slice(0, 230).replace(/[^a-z0-9]+$/, '')}.${randomBytes(8).toString('hex')}`;
  const nowMs = state.now();
  const times = { firstMs: nowMs, lastMs: nowMs };
  const series: Series = { key, event, name, count: 1, toldCount: 0, ...times, queued: false, failures: 0 };
  if (!enqueue(state, series)) return state.options.hooks?.onDropped?.('backlog');
  // The oldest series ends where there are too many: its next repetition is simply a new Event.
  if (state.series.size >= MAX_SERIES) state.series.delete(state.series.keys().next().value ?? '');
  state.series.set(key, series);
  return undefined;
}

function repeat(state: State, series: Series): void {
  series.count++;
  series.lastMs = state.now();
  writeLater(state);
}

function writeLater(state: State): void {
  if (state.stopped) return;
  state.sweeper ??= setTimeout(() => {
    state.sweeper = undefined;
    writeSeries(state);
  }, SERIES_WRITE_EVERY_MS).unref();
}

/** Tells the server of what it does not know: repetitions, and Events that could not be written. */
function writeSeries(state: State): void {
  for (const series of state.series.values()) {
    if (series.count !== series.toldCount && !enqueue(state, series)) writeLater(state);
  }
}

function enqueue(state: State, series: Series): boolean {
  if (series.queued) return true;
  if (state.line.size >= BACKLOG) return false;
  series.queued = true;
  state.line.push(series);
  state.writing ??= writeAll(state);
  return true;
}

/** One after the other: Events go behind everything else. */
async function writeAll(state: State): Promise<void> {
  for (let series = state.line.take(); series !== undefined; series = state.line.take()) {
    series.queued = false;
    const { count } = series;
    settle(state, series, { count, reply: await write(state, series) });
  }
  state.writing = undefined;
}

/** An Event that is not there, because its creation failed or its time was over, is created; else it is patched. */
async function write(state: State, series: Series): Promise<ApiReply> {
  const { client } = state.options;
  const { event, name, toldCount } = series;
  const place = { resource: EVENTS, namespace: event.object.namespace };
  if (toldCount > 0) {
    const reply = await client.execute({ verb: 'mergePatch', ...place, name, patch: { series: seriesOf(series) } });
    if (reply.ok || reply.status !== 404 || reply.transient) return reply;
  }
  return await client.execute({ verb: 'create', ...place, object: eventObject(state, series) });
}

function settle(state: State, series: Series, { count, reply }: { count: number; reply: ApiReply }): void {
  // The name is ours alone: it exists already because the reply to its creation was lost.
  if (reply.ok) told(state, series, count);
  else if (reply.status === 409) told(state, series, 1);
  else if (reply.transient && ++series.failures < MAX_TRIES) writeLater(state);
  else giveUp(state, series);
}

function told(state: State, series: Series, count: number): void {
  series.toldCount = count;
  series.failures = 0;
  if (count !== series.count) writeLater(state);
}

/** Its next repetition is a new Event. */
function giveUp(state: State, series: Series): void {
  if (state.series.get(series.key) === series) state.series.delete(series.key);
  state.options.hooks?.onDropped?.('refused');
}

function seriesOf({ count, lastMs }: Series): object {
  return { count, lastObservedTime: microTime(lastMs) };
}

function eventObject(state: State, series: Series): object {
  const { reportingController, reportingInstance } = state.options;
  const { event, name, count, firstMs } = series;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: event.object.namespace, name },
    eventTime: microTime(firstMs),
    // The API takes a series of two and more.
    ...(count > 1 ? { series: seriesOf(series) } : {}),
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
