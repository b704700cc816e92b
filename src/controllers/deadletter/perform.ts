/**
 * The only I/O of the dead-letter controller: one case for each effect that `decideLetter` can order. No rules here;
 * what went wrong is told as a value, and the pass that ordered it decides when to come back.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { DeadLetterStatus } from '../../api/deadletter.ts';
import type { LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { Retry } from '../../core/deadletter/retry.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { StatusWriter, WriteResult } from '../../kube/status-writer.ts';
import type { Store } from '../../kube/store.ts';
import type { KubeObject } from '../../kube/types.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../api/names.ts';
import { retryLetter } from '../../core/deadletter/retry.ts';
import { runProtocol } from '../../kube/run.ts';
import { keyOf } from '../../kube/types.ts';

export interface Performer {
  client: Pick<KubeClient, 'execute'>;
  store: Store<Letter>;
  writer: StatusWriter;
  policy: LetterPolicy;
  now(): number;
  random(): number;
  /** A retry changed the status of its task. */
  onTaskWritten(task: CaptchaTask): void;
  /** The letter's own status was written, or not. */
  onWrite(result: WriteResult['kind']): void;
}

/** What came of an effect. `status`: the letter's new status, where one was written. */
export type Performed =
  | { kind: 'done'; status?: DeadLetterStatus | undefined; retry?: Retry }
  /** Somebody wrote first, or the API was away: look again after a backoff. */
  | { kind: 'again'; why: string; retry?: Retry };

const REQUEST_TIMEOUT_MS = 15_000;
/** For all requests of one retry: a few, and some of them again where somebody else writes meanwhile. */
const RETRY_TIMEOUT_MS = 30_000;

export async function perform(
  effect: LetterEffect,
  letter: Letter,
  context: Performer,
  signal: AbortSignal,
): Promise<Performed> {
  switch (effect.kind) {
    case 'writeStatus':
      return await writeStatus(letter, effect.status, context, signal);
    case 'retry':
      return await retry(letter, context, signal);
    case 'delete':
      break;
  }
  return await remove(letter, context, signal);
}

async function writeStatus(
  letter: Letter,
  status: DeadLetterStatus,
  { writer, store, onWrite }: Performer,
  signal: AbortSignal,
): Promise<Performed> {
  const result = await writer.write(letter, status, { signal, timeoutMs: REQUEST_TIMEOUT_MS });
  onWrite(result.kind);
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

async function retry(letter: Letter, context: Performer, signal: AbortSignal): Promise<Performed> {
  const { client, store, policy, onTaskWritten } = context;
  const { namespace } = letter.metadata;
  const exists = (name: string): boolean => store.get(`${namespace}/${name}`) !== undefined;
  const protocol = retryLetter(letter.metadata, { now: context.now(), random: context.random(), policy, exists });
  const made = await runProtocol(client, protocol, {
    signal,
    withinMs: RETRY_TIMEOUT_MS,
    onObject(object, request) {
      if (request.resource.plural === DEAD_LETTER.plural) store.put(object);
      if (request.resource.plural === CAPTCHA_TASK.plural && request.verb !== 'get') onTaskWritten(asTask(object));
    },
  });
  switch (made.kind) {
    case 'recorded':
      context.onWrite('written');
      return { kind: 'done', status: made.letter.status, retry: made };
    case 'gone':
      forget(letter, store);
      return { kind: 'done', retry: made };
    case 'changed':
      return { kind: 'done', retry: made };
    case 'unrecorded':
      context.onWrite(made.conflict ? 'conflict' : 'transient');
      break;
    case 'unread':
      break;
  }
  return { kind: 'again', why: made.kind, retry: made };
}

function asTask(object: KubeObject): CaptchaTask {
  return object as unknown as CaptchaTask;
}

async function remove(letter: Letter, { client, store }: Performer, signal: AbortSignal): Promise<Performed> {
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
