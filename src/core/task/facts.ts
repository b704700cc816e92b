/**
 * All that `decide` may look at: the task, what this process remembers of it, and one view each of the things around
 * it. `controllers/task/gather` fills it from caches without waiting for anything; a view that is not known says so,
 * and a rule orders the read. Frozen in spirit: nobody changes a fact after it was gathered.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { LetterPhase, UnknownReason } from '../../api/names.ts';
import type { Entry } from '../journal/entry.ts';
import type { CallbackView } from './callback-mode.ts';
import type { TaskMemory } from './memory.ts';
import type { Millis } from './times.ts';

/** The instant and the chance that a decision is made with. */
export interface Moment {
  /** Epoch milliseconds, for what status says. */
  now: Millis;
  /** Monotonic milliseconds, for fences, graces and repeats. */
  mono: number;
  /** In [0,1). */
  random: number;
}

/** Why nobody gets through just now, as the waiting tasks say it. */
export interface Blockage {
  reason: UnknownReason;
  message?: string;
  /** Only a person can help. */
  stalled?: true;
}

export type KeyView =
  | { state: 'unread' }
  | { state: 'present' }
  /** `unreadForMs`: it may well be there, but for so long the API server has not been able to read it. */
  | { state: 'missing'; message: string; retryInMs: number; unreadForMs?: number };

/** The task's place among all tasks of its API key. */
export interface LaneView {
  /** `calling`: its call is under way. `elsewhere`: a place or an unused turn of another API key than its present one. */
  ticket: 'none' | 'queued' | 'granted' | 'calling' | 'elsewhere';
  blockage?: Blockage;
  /** Polls of this key rest for so long. */
  pollPauseMs: number;
}

/** What the letter controller's cache says about the letter that the task's mark names. */
export type LetterView = { state: 'absent' } | { state: 'present'; phase: LetterPhase };

/** Whether the next submission carries a pingback URL, and which. */
export type PingbackView = { kind: 'url'; url: string } | { kind: 'none' };

/**
 * Whether first submissions of one namespace may be entered into the journal: `waits` while it is full; `barred` while
 * this namespace has its share of it, or its watch does not show what this process wrote there. `closed`: another
 * process holds it, or nobody does.
 */
export type JournalView = 'open' | 'waits' | 'barred' | 'closed';

/**
 * Whether `Submitted` of a first submission may be written now. `later`: it yields to requests that queue, and its id is
 * in the journal meanwhile, or belongs there. `entering`: the id is on its way into the journal.
 */
export type RecordView = 'now' | 'later' | 'entering';

export interface TaskFacts {
  /** As its status shows it; or with its entry of the journal, which status does not show yet. */
  readonly task: CaptchaTask;
  /** That entry. */
  readonly entry?: Entry | undefined;
  /** It is on its way out of the journal, and nothing follows before that is sent. */
  readonly entryLeaves?: boolean | undefined;
  readonly journal: JournalView;
  readonly record: RecordView;
  readonly memory: TaskMemory;
  /** Leader, and not stopping: new intents, calls, polls and decisions are allowed. */
  readonly mayAct: boolean;
  /** For how long the operator has watched without interruption. */
  readonly watchedMs: number;
  /** For how long this process has been deciding (since start or since it became leader). */
  readonly actingMs: number;
  readonly key: KeyView;
  readonly lane: LaneView;
  readonly letter: LetterView;
  readonly pingback: PingbackView;
  /** What is known of callbacks for its API key. */
  readonly callbacks: CallbackView;
  /** The name that the next intent would carry; unique to this process. */
  readonly intentName: string;
  /** Waiting tasks write one after the other; false while it is not this one's turn. */
  readonly mayWriteWaiting: boolean;
}
