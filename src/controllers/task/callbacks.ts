/**
 * Keeps what is known of callbacks for each API key that is in doubt (`core/task/callback-mode` has the rules), and
 * tells people once when it turns: a Warning on the task that showed it. A key that is not here is trusted; one that
 * nothing was heard of for hours is forgotten. While results go unheard it reads tasks that left the watch, one at a
 * time for each key. It holds keys, and neither logs nor labels them.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { TaskEvent } from '../../core/task/announce.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Logger } from '../../ops/log.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import * as modes from '../../core/task/callback-mode.ts';
import type { TaskPolicy } from '../../core/task/policy.ts';

export interface Callbacks {
  view(task: CaptchaTask): modes.CallbackView;
  mayCarryURL(task: CaptchaTask, doubt: modes.URLDoubt | undefined): boolean;
  /** The intent of a submission with a URL is about to be written. */
  urlSent(task: CaptchaTask): void;
  /** `in.php` answered a call that was made with this key. */
  answered(task: CaptchaTask, apiKey: string, call: modes.Call): void;
  /** This process finished it; said once. */
  finished(task: CaptchaTask): void;
  /** A copy of a task that is finished, read perhaps not for the first time: it may end a doubt, and adds to none. */
  read(task: CaptchaTask): void;
  /** A task, as it last was, left the watch by another hand: finished by a callback, or deleted. */
  left(task: CaptchaTask): void;
  /** How many keys are so. */
  counts(): Record<keyof modes.CallbackView, number>;
}

export interface CallbacksOptions {
  client: Pick<KubeClient, 'execute'>;
  policy: Pick<TaskPolicy, 'callbackSilenceLimit'>;
  events: Pick<EventRecorder, 'record'>;
  log: Logger;
  keyOf: (task: CaptchaTask) => string | undefined;
  mono: () => number;
  /** Tasks that wait for a callback look again: none may come. */
  onSilence: () => void;
}

/** Longer than a refusal lasts. */
const FORGET_MS = 2 * 60 * 60_000;

interface Entry {
  mode: modes.CallbackMode;
  changedMono: number;
}

interface State {
  readonly options: CallbacksOptions;
  readonly entries: Map<string, Entry>;
  /** Keys of which a task is being read. */
  readonly reading: Set<string>;
}

export function createCallbacks(options: CallbacksOptions): Callbacks {
  const state: State = { options, entries: new Map(), reading: new Set() };
  const { keyOf, mono } = options;
  return {
    view: (task) => viewOf(state, modeOf(state, keyOf(task))),
    mayCarryURL: (task, doubt) => modes.mayCarryURL(modeOf(state, keyOf(task)), doubt, mono()),
    urlSent: (task) => change(state, { task, apiKey: keyOf(task) }, (mode) => modes.urlSent(mode, mono())),
    answered: (task, apiKey, call) => change(state, { task, apiKey }, (mode) => modes.urlAnswered(mode, call, mono())),
    finished: (task) => take(state, task, modes.signOf(task)),
    read: (task) => takeRead(state, task),
    left: (task) => void readOne(state, task),
    counts() {
      const views = Array.from(state.entries.values(), ({ mode }) => viewOf(state, mode));
      const count = (which: keyof modes.CallbackView): number => views.filter((view) => view[which]).length;
      return { silent: count('silent'), refused: count('refused') };
    },
  };
}

function modeOf({ entries }: State, apiKey: string | undefined): modes.CallbackMode {
  return (apiKey === undefined ? undefined : entries.get(apiKey)?.mode) ?? modes.CALLBACKS_TRUSTED;
}

function viewOf({ options }: State, mode: modes.CallbackMode): modes.CallbackView {
  return { silent: modes.isSilent(mode, options.policy.callbackSilenceLimit), refused: mode.refused !== undefined };
}

function take(state: State, task: CaptchaTask, sign: ReturnType<typeof modes.signOf>): void {
  if (sign === undefined) return;
  change(state, { task, apiKey: state.options.keyOf(task) }, (mode) => modes.signSeen(mode, sign));
}

function takeRead(state: State, task: CaptchaTask): void {
  const sign = modes.signOf(task);
  if (sign === 'heard') take(state, task, sign);
}

interface Subject {
  task: CaptchaTask;
  apiKey: string | undefined;
}

function change(state: State, of: Subject, step: (mode: modes.CallbackMode) => modes.CallbackMode): void {
  const { entries, options } = state;
  if (of.apiKey === undefined) return;
  const before = modeOf(state, of.apiKey);
  const mode = step(before);
  if (mode === before) return;
  const changedMono = options.mono();
  if (mode.unheard === 0 && mode.refused === undefined) entries.delete(of.apiKey);
  else entries.set(of.apiKey, { mode, changedMono });
  tell(state, of.task, viewOf(state, before), viewOf(state, mode));
  for (const [apiKey, entry] of entries) if (entry.changedMono < changedMono - FORGET_MS) entries.delete(apiKey);
}

function tell(state: State, task: CaptchaTask, before: modes.CallbackView, after: modes.CallbackView): void {
  const { options } = state;
  const { namespace, name } = task.metadata;
  if (after.refused && !before.refused) {
    record(state, task, {
      reason: 'CallbackRefused',
      action: 'Submit',
      note: 'The provider refuses the callback URL; for an hour tasks of this API key are submitted without it.',
    });
    options.log.warn('The provider refuses the callback URL of a key', { namespace, name });
  }
  if (after.silent && !before.silent) {
    record(state, task, {
      reason: 'CallbacksSilent',
      action: 'Poll',
      note: 'No callbacks come for this API key; until one does, its tasks are polled like those without.',
    });
    options.log.warn('No callbacks come for a key', { namespace, name });
    options.onSilence();
  }
  if (before.refused && !after.refused) options.log.info('The provider takes the callback URL of a key again');
  if (before.silent && !after.silent) options.log.info('Callbacks come again for a key', { namespace, name });
}

function record({ options }: State, task: CaptchaTask, event: Omit<TaskEvent, 'type'>): void {
  const { apiVersion, kind, metadata } = task;
  const { namespace, name, uid, resourceVersion } = metadata;
  const object = { apiVersion, kind, namespace, name, uid, resourceVersion };
  options.events.record({ object, type: 'Warning', ...event });
}

/** Looks how a task ended, where that may end a doubt and no other look is under way. */
async function readOne(state: State, task: CaptchaTask): Promise<void> {
  const { options, reading } = state;
  const apiKey = options.keyOf(task);
  if (apiKey === undefined || reading.has(apiKey) || modeOf(state, apiKey).unheard === 0) return;
  if (task.status?.submission?.pingback !== true) return;
  reading.add(apiKey);
  try {
    const read = await readEnd(state, task);
    if (read !== undefined) takeRead(state, read);
  } catch (error) {
    options.log.error('Looking for the end of a task failed', { error });
  } finally {
    reading.delete(apiKey);
  }
}

/** Undefined where the task is gone, or the API server could not be asked: the next one tells as well. */
async function readEnd({ options }: State, { metadata }: CaptchaTask): Promise<CaptchaTask | undefined> {
  const { namespace, name, uid } = metadata;
  const reply = await options.client.execute({ verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' });
  const read = reply.ok ? (reply.object as CaptchaTask) : undefined;
  return read?.metadata.uid === uid ? read : undefined;
}
