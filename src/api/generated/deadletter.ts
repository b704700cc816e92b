/** Generated from `crds/deadletter.yaml` by `npm run generate:types`. Change the CRD, not this file. */

/**
 * What was received, for which task, and why it could not be stored. Immutable.
 */
export interface DeadLetterSpec {
  /**
   * The task, in the same namespace.
   */
  taskRef: {
    /**
     * Name of the CaptchaTask.
     */
    name: string;
    /**
     * Its uid; a task that was recreated under the same name is another task.
     */
    uid: string;
  };
  /**
   * The attempt of the task that the result answers.
   */
  attempt: number;
  /**
   * The provider's id of that attempt.
   */
  captchaID: string;
  /**
   * Where processing failed. ApplyCallback: writing a callback's result into the task. ApplyPoll: writing a polled result into the task. WriteSecret: creating the solution Secret.
   */
  stage: 'ApplyCallback' | 'ApplyPoll' | 'WriteSecret';
  /**
   * How the result was received.
   */
  source: 'Callback' | 'Poll';
  /**
   * The result, in clear.
   */
  payload: {
    /**
     * The solution as it is to be stored. A letter takes more (262,144 characters) than a task (12,288 bytes), so that a result which is too large is kept too.
     */
    code: string;
    /**
     * The User-Agent that it is bound to, where there is one.
     */
    userAgent?: string;
  };
  /**
   * Why it could not be stored the first time.
   */
  error: {
    /**
     * Forbidden: permissions are missing. Conflict: the Secret belongs to someone else. Invalid: the API server refused the content. Quota: a quota is used up. TooLarge: it does not fit. Unavailable: the API could not be reached.
     */
    class: 'Forbidden' | 'Conflict' | 'Invalid' | 'Quota' | 'TooLarge' | 'Unavailable';
    /**
     * The error in words, without the result itself.
     */
    message: string;
  };
  /**
   * When the result was received.
   */
  receivedTime: string;
  /**
   * When the site stops accepting the result at the latest. Absent where the type has no known lifetime.
   */
  contentExpiresTime?: string;
}

/**
 * How the retries went; written by the operator only. A letter without status is Pending.
 */
export interface DeadLetterStatus {
  /**
   * Pending: being retried. Resolved: the result was stored by a retry; final. Superseded: the task was finished, deleted or recreated otherwise. Abandoned: retries are used up; it can still be redriven.
   */
  phase?: 'Pending' | 'Resolved' | 'Superseded' | 'Abandoned';
  /**
   * How often it was retried, redrives included. It only grows.
   */
  attempts?: number;
  /**
   * When it is retried next.
   */
  nextRetryTime?: string;
  /**
   * How the last try failed; before the first retry, as spec.error.
   */
  lastError?: {
    /**
     * As spec.error.class.
     */
    class: 'Forbidden' | 'Conflict' | 'Invalid' | 'Quota' | 'TooLarge' | 'Unavailable';
    /**
     * The error in words, without the result itself.
     */
    message: string;
  };
  /**
   * When the letter last became Resolved, Superseded or Abandoned; it is deleted some time after (DEAD_LETTER_TTL_SECONDS).
   */
  completionTime?: string;
  /**
   * How often someone redrove it by the annotation captcha-operator.io/retry.
   */
  redrives?: number;
  /**
   * The last redrive that was acted on.
   */
  lastRedrive?: {
    /**
     * Value of the annotation.
     */
    value: string;
    /**
     * When it was acted on.
     */
    time: string;
    /**
     * How many retries had been made before it; the fresh budget counts from here.
     */
    attempts?: number;
  };
  /**
   * Resolved: Unknown while pending, True when Resolved or Superseded, False when Abandoned.
   *
   * Items: One condition.
   */
  conditions?: {
    /**
     * Resolved.
     */
    type: string;
    /**
     * Whether the condition holds.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * The metadata.generation that the condition is about.
     */
    observedGeneration?: number;
    /**
     * When the status of the condition last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, as one word.
     */
    reason: string;
    /**
     * Why, in words.
     */
    message: string;
  }[];
}
