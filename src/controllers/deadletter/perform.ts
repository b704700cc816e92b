/**
 * The only I/O of the dead-letter controller: runs the step (`core/deadletter/steps.ts`) that `decideLetter` ordered, and
 * tells of it: metrics, log and events, never the content. No rules here; what went wrong is a value, and the pass that
 * ordered the effect comes back later.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { Store } from '../../kube/store.ts';
import type { ApiRequest, KubeObject } from '../../kube/types.ts';
import type { Logger } from '../../ops/log.ts';
import type { Performed } from '../loop.ts';
import type { LetterMetrics } from './metrics.ts';
import { API_VERSION, CAPTCHA_TASK, DEAD_LETTER } from '../../api/names.ts';
import { announceHold, announceLetter } from '../../core/deadletter/announce.ts';
import { type LetterOutcome, letterStep } from '../../core/deadletter/steps.ts';
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

const REQUEST_TIMEOUT_MS = 15_000;
/** For all requests of one retry: a few, and some of them again where somebody else writes meanwhile. */
const RETRY_TIMEOUT_MS = 30_000;

export function createPerformer(performer: Performer) {
  const { client, store, policy, clock, metrics } = performer;
  return async (effect: LetterEffect, letter: Letter, signal: AbortSignal): Promise<Performed> => {
    const { namespace } = letter.metadata;
    const exists = (name: string): boolean => store.get(`${namespace}/${name}`) !== undefined;
    const step = letterStep(letter, effect, { now: clock.now(), random: clock.random(), policy, exists });
    const outcome = await runProtocol(client, step, {
      signal,
      withinMs: effect.kind === 'retry' ? RETRY_TIMEOUT_MS : REQUEST_TIMEOUT_MS,
      onObject: (object, request) => take(performer, object, request),
    });
    if (outcome.write !== undefined) countWrite(metrics, outcome.write);
    // What has its name now is newer, and the watch tells of it.
    if (outcome.kind === 'done' && outcome.gone) store.drop(keyOf(letter.metadata), letter.metadata.resourceVersion);
    tell(letter, effect, outcome, performer);
    return outcome.kind === 'again' ? 'failed' : 'changed';
  };
}

/** Letters go into the cache; a task that a retry solved is counted. */
function take({ store, metrics }: Performer, object: KubeObject, { verb, resource }: ApiRequest): void {
  if (resource.plural === DEAD_LETTER.plural) store.put(object);
  if (resource.plural !== CAPTCHA_TASK.plural || verb === 'get') return;
  countFinished(metrics, object as unknown as CaptchaTask);
}

function tell(letter: Letter, effect: LetterEffect, outcome: LetterOutcome, performer: Performer): void {
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

function recordEvent(letter: Letter, outcome: LetterOutcome, { events }: Performer): void {
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
