/**
 * The only I/O of the dead-letter controller: one case for each effect that `decideLetter` can order, and what is told
 * of it: metrics, log and events, never the content. No rules here; what went wrong is a value, and the pass that ordered
 * the effect comes back later.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { DeadLetterStatus } from '../../api/deadletter.ts';
import type { LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { Retry } from '../../core/deadletter/retry.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Store } from '../../kube/store.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { Logger } from '../../ops/log.ts';
import type { Performed } from '../loop.ts';
import type { LetterMetrics } from './metrics.ts';
import { API_VERSION, CAPTCHA_TASK, DEAD_LETTER } from '../../api/names.ts';
import { announceHold, announceLetter } from '../../core/deadletter/announce.ts';
import { retryLetter } from '../../core/deadletter/retry.ts';
import { putStatus } from '../../core/status-write.ts';
import { runProtocol } from '../../kube/run.ts';
import { keyOf } from '../../kube/types.ts';
import { countFinished, countWrite } from './metrics.ts';

interface Performer {
  client: Pick<KubeClient, 'execute'>;
  store: Store<Letter>;
  policy: LetterPolicy;
  clock: { now(): number; random(): number };
  metrics: LetterMetrics;
  log: Pick<Logger, 'info' | 'warn'>;
  events?: Pick<EventRecorder, 'record'>;
}

/** What came of an effect. `status`: the letter's new status, where one was written. */
type Outcome =
  | { kind: 'done'; status?: DeadLetterStatus | undefined; retry?: Retry }
  /** Somebody wrote first, or the API was away: look again after a backoff. */
  | { kind: 'again'; why: string; retry?: Retry };

const REQUEST_TIMEOUT_MS = 15_000;
/** For all requests of one retry: a few, and some of them again where somebody else writes meanwhile. */
const RETRY_TIMEOUT_MS = 30_000;

export function createPerformer(performer: Performer) {
  return async (effect: LetterEffect, letter: Letter, signal: AbortSignal): Promise<Performed> => {
    const outcome = await perform(effect, letter, performer, signal);
    tell(letter, effect, outcome, performer);
    return outcome.kind === 'again' ? 'failed' : 'changed';
  };
}

async function perform(
  effect: LetterEffect,
  letter: Letter,
  performer: Performer,
  signal: AbortSignal,
): Promise<Outcome> {
  switch (effect.kind) {
    case 'writeStatus':
      return await writeStatus(letter, effect.status, performer, signal);
    case 'retry':
      return await retry(letter, performer, signal);
    case 'delete':
      break;
  }
  return await remove(letter, performer, signal);
}

async function writeStatus(
  letter: Letter,
  status: DeadLetterStatus,
  { client, store, metrics }: Performer,
  signal: AbortSignal,
): Promise<Outcome> {
  const result = await runProtocol(client, putStatus(DEAD_LETTER, letter, status), {
    signal,
    withinMs: REQUEST_TIMEOUT_MS,
    onObject: (object) => store.put(object),
  });
  countWrite(metrics, result.kind);
  switch (result.kind) {
    case 'written':
      return { kind: 'done', status };
    case 'gone':
      forget(letter, store);
      return { kind: 'done' };
    case 'unchanged':
      return { kind: 'done' };
    case 'conflict':
    case 'invalid':
    case 'transient':
      break;
  }
  return { kind: 'again', why: result.kind };
}

async function retry(letter: Letter, performer: Performer, signal: AbortSignal): Promise<Outcome> {
  const { client, store, policy, metrics, clock } = performer;
  const { namespace } = letter.metadata;
  const exists = (name: string): boolean => store.get(`${namespace}/${name}`) !== undefined;
  const protocol = retryLetter(letter.metadata, { now: clock.now(), random: clock.random(), policy, exists });
  const made = await runProtocol(client, protocol, {
    signal,
    withinMs: RETRY_TIMEOUT_MS,
    onObject(object, request) {
      if (request.resource.plural === DEAD_LETTER.plural) store.put(object);
      if (request.resource.plural === CAPTCHA_TASK.plural && request.verb !== 'get')
        countFinished(metrics, asTask(object));
    },
  });
  switch (made.kind) {
    case 'recorded':
      countWrite(metrics, 'written');
      return { kind: 'done', status: made.letter.status, retry: made };
    case 'gone':
      forget(letter, store);
      return { kind: 'done', retry: made };
    case 'changed':
      return { kind: 'done', retry: made };
    case 'unrecorded':
      countWrite(metrics, made.conflict ? 'conflict' : 'transient');
      break;
    case 'unread':
      break;
  }
  return { kind: 'again', why: made.kind, retry: made };
}

function asTask(object: KubeObject): CaptchaTask {
  return object as unknown as CaptchaTask;
}

async function remove(letter: Letter, { client, store }: Performer, signal: AbortSignal): Promise<Outcome> {
  const { namespace, name, uid, resourceVersion } = letter.metadata;
  const reply = await client.execute(
    { verb: 'delete', resource: DEAD_LETTER, namespace, name, preconditions: { uid, resourceVersion } },
    { signal, timeoutMs: REQUEST_TIMEOUT_MS },
  );
  if (!reply.ok && reply.status !== 404) return { kind: 'again', why: 'delete' };
  forget(letter, store);
  return { kind: 'done' };
}

/** The letter of this version is no more; whatever has its name now is newer, and the watch tells of it. */
function forget({ metadata }: Letter, store: Store<Letter>): void {
  store.drop(keyOf(metadata), metadata.resourceVersion);
}

function tell(letter: Letter, effect: LetterEffect, outcome: Outcome, performer: Performer): void {
  const { namespace, name } = letter.metadata;
  const { stage, taskRef } = letter.spec;
  const fields = { namespace, letter: name, task: taskRef.name, uid: taskRef.uid, stage };
  const { retry } = outcome;
  if (retry?.kind === 'recorded') {
    const abandoned = retry.letter.status?.phase === 'Abandoned';
    const result = abandoned ? 'abandoned' : retry.outcome.kind;
    performer.metrics.inc('captcha_operator_dead_letter_retries_total', { result });
    performer.log.info('Retried a dead letter', { ...fields, result });
  }
  if (outcome.kind === 'again') {
    const error = retry !== undefined && 'error' in retry ? retry.error : undefined;
    performer.log.warn('A dead letter could not be worked on', {
      ...fields,
      effect: effect.kind,
      why: outcome.why,
      error,
    });
  }
  recordEvent(letter, outcome, performer);
}

function recordEvent(letter: Letter, outcome: Outcome, { events }: Performer): void {
  if (outcome.kind !== 'done' || outcome.status === undefined) return;
  const { namespace, name, uid, resourceVersion } = letter.metadata;
  const hold = announceHold(outcome.status, letter);
  if (hold !== undefined) {
    const task = { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, namespace, ...letter.spec.taskRef };
    events?.record({ object: task, ...hold });
  }
  const event = announceLetter(outcome.status, letter.status);
  if (event === undefined) return;
  const object = { apiVersion: API_VERSION, kind: DEAD_LETTER.kind, namespace, name, uid, resourceVersion };
  events?.record({ object, ...event });
}
