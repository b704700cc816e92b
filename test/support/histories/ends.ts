/**
 * Judges by whose answer attempts and tasks of a history were ended. Whatever is said about an attempt that was replaced
 * ends nothing: an attempt, and a task that the provider rejected, were ended by the provider's own answer under the
 * very id they show. And what can never succeed is not paid again.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { Order, World } from './world.ts';
import { CAPTCHA_TASK } from '../../../src/api/names.ts';
import { FORGOTTEN_ID, PERMANENT_WORD, TASK, demand } from './world.ts';

export function judgeEnds(world: World): void {
  let hopeless: string | undefined;
  for (const version of world.api.versions(CAPTCHA_TASK.plural, TASK) as (CaptchaTask | undefined)[]) {
    if (version === undefined) continue;
    const order = world.orders.find(({ id }) => id === version.status?.submission?.captchaID);
    judgeVersion(version, order);
    const { metadata, status } = version;
    const ended = status?.submission?.endTime !== undefined;
    demand(ended || hopeless !== metadata.uid, 'a task that can never succeed is not submitted again');
    if (ended && status.submission?.code === PERMANENT_WORD) hopeless = metadata.uid;
  }
}

function judgeVersion({ status }: CaptchaTask, order: Order | undefined): void {
  const { submission, failure } = status ?? {};
  if (submission?.endTime !== undefined) {
    demand(wordOf(order) === submission.code, 'an ended attempt was ended by its own answer');
  }
  if (failure?.class !== 'Permanent') return;
  const forgotten = failure.code === FORGOTTEN_ID && order?.forgotten === true;
  demand(forgotten || wordOf(order) === failure.code, 'a rejected task was rejected under its own id');
}

function wordOf(order: Order | undefined): string | undefined {
  const answer = order?.answer;
  return answer !== undefined && 'refused' in answer ? answer.refused : undefined;
}
