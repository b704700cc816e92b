/** `in.php`: reads the submission and has a task created for it. The id is told when the task is there, and not before. */
import type { Middleware } from 'koa';
import { successText } from '../../core/gateway/answers.ts';
import { readSubmission } from '../../core/gateway/submission.ts';
import type { Submissions } from '../submissions.ts';
import { answer, answerRefusal, answerWord, departureOf, wantsJSON, type GatewayState } from '../state.ts';

export function submit(submissions: Pick<Submissions, 'submit'>): Middleware<GatewayState> {
  return async (ctx, next) => {
    if (ctx.state.endpoint !== 'submit') return next();
    const submission = readSubmission(ctx.state.fields);
    if (!submission.ok) return answerRefusal(ctx, submission);
    const done = await submissions.submit(ctx.state.namespace, submission, departureOf(ctx));
    if (done.kind === 'accepted') return answer(ctx, successText(done.id, wantsJSON(ctx)), 'accepted');
    if (done.kind === 'refused') return answerRefusal(ctx, done.refusal);
    return answerWord(ctx, 'ERROR_NO_SLOT_AVAILABLE', done.kind === 'left' ? 'withdrawn' : 'no_slot');
  };
}
