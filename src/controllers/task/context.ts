/**
 * What the files of this room share about the running controller: its cache, what it remembers of each task, its
 * lanes, its clocks. One value, made by `index`, passed to every function; nothing here decides anything.
 */
import type { CaptchaTask, Submission } from '../../api/captchatask.ts';
import type { Doubt } from '../../core/task/doubts.ts';
import type { Entry } from '../../core/journal/entry.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { JournalView, Moment, RecordView } from '../../core/task/facts.ts';
import type { TaskMemory } from '../../core/task/memory.ts';
import type { WorkQueue } from '../../kube/queue.ts';
import type { Store } from '../../kube/store.ts';
import type { Callbacks } from './callbacks.ts';
import type { KeyRing } from './keys.ts';
import type { Lanes } from './lanes.ts';
import type { TaskControllerOptions } from './ports.ts';
import type { Scopes } from './scopes.ts';
import type { TimeToLive } from './ttl.ts';
import { freshMemory, isBlank } from '../../core/task/memory.ts';
import { type PackedTask, unpackTask } from '../../core/task/packed.ts';

export interface TaskContext {
  readonly options: TaskControllerOptions;
  readonly store: Store<PackedTask>;
  readonly unpack: Unpack;
  readonly memories: Map<string, TaskMemory>;
  readonly keys: KeyRing;
  readonly lanes: Lanes;
  readonly callbacks: Callbacks;
  readonly ttl: TimeToLive;
  readonly journal: JournalRoom;
  readonly queue: WorkQueue;
  readonly scopes: Scopes;
  /** Calls of the provider that are under way. */
  readonly calls: Set<Promise<void>>;
  /** Nothing is started any more. */
  stopping: boolean;
  /** A lead that goes on, be it that the journal is not taken over yet; another object for each. */
  leading: object | undefined;
  /** Since when this process acts, monotonic; undefined while it does not. */
  actingSinceMono: number | undefined;
  /** Writes whose reply was lost and that no read has proved or refuted yet, by the task's key. */
  readonly doubts: Map<string, Doubt>;
  /** Since when a read has shown tasks to be gone, by uid: an event that the watch is late with brings none of them back. */
  readonly gone: Map<string, number>;
  /** Number of the last intent of this process. */
  intents: number;
  /** It was logged that there is another installation. */
  toldForeign: boolean;
  /** Status writes under way that only say why a task waits. */
  waitingWrites: number;
  moment(): Moment;
  /** Leader, and not stopping: read synchronously before every intent and every call. */
  mayAct(): boolean;
}

/** The intent journal; made by `journal.ts`. */
export interface JournalRoom {
  isHeld(): boolean;
  /** What this process knows of the first submission of this task. */
  entryOf(uid: string): Entry | undefined;
  leaves(entry: Entry): boolean;
  /** Whether another installation announced this submission. */
  isForeign(submission: Submission): boolean;
  view(namespace: string): JournalView;
  /** Whether `Submitted` of this entry may be written now. */
  record(entry: Entry): RecordView;
  /** It is being written, until what this returns is called. */
  recording(entry: Entry): () => void;
  /** With the next write. */
  enter(entry: Entry): void;
  /** Accepted: its id, with the next write. */
  putID(effect: Extract<TaskEffect, { kind: 'enterID' }>): void;
  /** Not accepted: with the next write, and then its reply is settled. */
  drop(task: CaptchaTask, effect: Extract<TaskEffect, { kind: 'dropEntry' }>): void;
  /** A status of this process was written: it must come back by the watch. */
  wrote(task: CaptchaTask): void;
  /** Resolves true when this process holds the journal and may list the tasks; false when `stillLeads` does not hold. */
  takeOver(stillLeads: () => boolean): Promise<boolean>;
  /** Entries that wait and were not sent are given up. */
  withdraw(): void;
  /** Puts every entry into status and empties the journal, for at most so long. Resolves with the number left. */
  close(withinMs: number): Promise<number>;
}

export type Unpack = (packed: PackedTask) => CaptchaTask;

/** Twice as many as there are ever workers. */
const KEPT = 128;

/**
 * A pass looks at the same copy several times, so the last few are kept unpacked; the cache itself stays packed. What
 * comes from here is shared and must not be changed.
 */
export function createUnpacking(): Unpack {
  const recent = new Map<PackedTask, CaptchaTask>();
  return (packed) => {
    const known = recent.get(packed);
    if (known !== undefined) return known;
    const task = unpackTask(packed);
    recent.set(packed, task);
    if (recent.size > KEPT) recent.delete(recent.keys().next().value!);
    return task;
  };
}

/** Since when this process acts on the tasks of a namespace, monotonic; undefined while it does not. */
export function actingSinceMono(context: TaskContext, namespace: string): number | undefined {
  const knownSinceMono = context.scopes.knownSinceMono(namespace);
  if (!context.mayAct() || context.actingSinceMono === undefined || knownSinceMono === undefined) return undefined;
  return Math.max(context.actingSinceMono, knownSinceMono);
}

/** No watch is late by so much: it would have been opened anew. */
const GONE_MS = 5 * 60_000;

/** This very object is gone, by a quorum read. */
export function bury({ gone, moment }: TaskContext, uid: string): void {
  const { mono } = moment();
  gone.set(uid, mono);
  for (const [buried, sinceMono] of gone) {
    if (mono - sinceMono < GONE_MS) return;
    gone.delete(buried);
  }
}

/** As much of a task as it takes to know it again. */
export interface Known {
  metadata: Pick<CaptchaTask['metadata'], 'namespace' | 'name' | 'uid'>;
}

/** The identity of a task in caches and queues. */
export function keyOfTask(task: Known): string {
  return `${task.metadata.namespace}/${task.metadata.name}`;
}

/** The copy that the cache has under this key. */
export function cachedTask({ store, unpack }: TaskContext, key: string): CaptchaTask | undefined {
  const packed = store.get(key);
  return packed && unpack(packed);
}

/** Whether the cache has this very task, and not a successor of the same name. */
export function isKnown(context: TaskContext, task: Known): boolean {
  return cachedTask(context, keyOfTask(task))?.metadata.uid === task.metadata.uid;
}

/** What is remembered of this very task. */
export function memoryOf({ memories }: TaskContext, task: Known): TaskMemory | undefined {
  const memory = memories.get(keyOfTask(task));
  return memory?.uid === task.metadata.uid ? memory : undefined;
}

/**
 * Changes what is remembered of this very task. A task that left the cache, and a predecessor of the same name, are
 * not remembered anew.
 */
export function remember(context: TaskContext, task: Known, change: (memory: TaskMemory) => TaskMemory): void {
  const key = keyOfTask(task);
  const before = context.memories.get(key) ?? (context.store.get(key) && freshMemory(task.metadata.uid));
  if (before?.uid === task.metadata.uid) keep(context, key, change(before));
}

export function keep({ memories }: TaskContext, key: string, memory: TaskMemory): void {
  if (isBlank(memory)) memories.delete(key);
  else memories.set(key, memory);
}

/** Fields of log lines about a task. */
export function about(task: CaptchaTask): object {
  const { namespace, name, uid } = task.metadata;
  const attempt = task.status?.attempts ?? 0;
  return { namespace, name, uid, attempt };
}
