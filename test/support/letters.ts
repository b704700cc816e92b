/**
 * Builds DeadLetters for tests by the product's own fold: `aLetter({ error }).introduced().failedOnce().build()`.
 * Times are epoch milliseconds, counted from the builders' T0.
 */
import type { DeadLetter, DeadLetterSpec, DeadLetterStatus, LetterError } from '../../src/api/deadletter.ts';
import type { RetryOutcome } from '../../src/core/deadletter/facts.ts';
import { API_VERSION, RETRY_ANNOTATION } from '../../src/api/names.ts';
import { introduced, redriven, retried } from '../../src/core/deadletter/transitions.ts';
import { DEFAULT_LETTER_POLICY } from '../../src/core/deadletter/schedule.ts';
import { formatTime } from '../../src/core/task/times.ts';
import { CAPTCHA_ID, T0, aTask } from './builders.ts';

export const CONFLICT: LetterError = { class: 'Conflict', message: 'The solution Secret is not owned by this task.' };
export const NEW_LETTER = 'login-0123456789abcdef0123';

export interface LetterBuilder {
  introduced(): LetterBuilder;
  retried(outcome: RetryOutcome, at: number): LetterBuilder;
  redriven(value: string, at: number): LetterBuilder;
  annotated(value: string): LetterBuilder;
  build(): DeadLetter;
}

export function aLetter(change: Partial<DeadLetterSpec> = {}): LetterBuilder {
  const { name, namespace, uid } = aTask().build().metadata;
  return builderOf({
    apiVersion: API_VERSION,
    kind: 'DeadLetter',
    metadata: {
      name: NEW_LETTER,
      namespace,
      uid: 'letter-uid',
      resourceVersion: '50',
      generation: 1,
      creationTimestamp: formatTime(T0),
    },
    spec: {
      taskRef: { name, uid },
      attempt: 1,
      captchaID: CAPTCHA_ID,
      stage: 'WriteSecret',
      source: 'Callback',
      payload: { code: 'solution-a' },
      error: CONFLICT,
      receivedTime: formatTime(T0),
      ...change,
    },
  });
}

function builderOf(letter: DeadLetter): LetterBuilder {
  const status = (next: DeadLetterStatus): LetterBuilder => builderOf({ ...letter, status: next });
  return {
    introduced: () => status(introduced(letter, T0, DEFAULT_LETTER_POLICY)),
    retried: (outcome, at) => status(retried(letter, outcome, { now: at, random: 0.5 }, DEFAULT_LETTER_POLICY)),
    redriven: (value, at) => status(redriven(letter, value, at)),
    annotated: (value) =>
      builderOf({ ...letter, metadata: { ...letter.metadata, annotations: { [RETRY_ANNOTATION]: value } } }),
    build: () => structuredClone(letter),
  };
}
