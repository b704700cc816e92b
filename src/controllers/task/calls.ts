/**
 * The two kinds of provider calls a task makes. A call runs beside the workers: it is started by a pass, its answer
 * goes into memory and wakes the task, and the next pass records it. At most one call per intent, begun only while the
 * intent is fresh and this process leads; both are checked here again, in the same instant as the call.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { PollOutcome, SubmitOutcome } from '../../core/outcome.ts';
import type { OwnIntent, Sources, SubmitReply } from '../../core/task/memory.ts';
import type { SubmitRequest } from '../../provider/client.ts';
import { callEnded, callForgone, callSent, payerNoted } from '../../core/task/memory.ts';
import { type AnsweredPoll, cameLate, pollAnswered, pollBooked, pollSent } from '../../core/task/polling.ts';
import { SUBMIT_TIMEOUT_MS } from '../../core/task/policy.ts';
import { needsSources } from '../../core/task/sources.ts';
import { ownsFreshIntent } from '../../core/task/submission.ts';
import { type TaskContext, about, isKnown, keyOfTask, remember } from './context.ts';

const POLL_TIMEOUT_MS = 15_000;

/** Starts the call of the intent in memory, unless its time is over by now. */
export function startSubmission(context: TaskContext, task: CaptchaTask): void {
  const memory = context.memories.get(keyOfTask(task));
  const open = task.status?.submission;
  const moment = context.moment();
  if (memory?.intent === undefined || !context.mayAct() || !ownsFreshIntent({ memory, open, moment })) return;
  const { intent } = memory;
  const apiKey = context.keys.value(task);
  if (apiKey === undefined || (needsSources(task) && memory.sources?.state !== 'ready')) {
    // The key was taken away between intent and call; or what else is needed is not there, and half a captcha is none.
    forgoCall(context, task);
    return;
  }
  const request = requestOf(task, apiKey, memory.sources, intent.pingbackURL);
  remember(context, task, (memory) => payerNoted(callSent(memory), task.spec));
  context.lanes.started(keyOfTask(task));
  track(context, async () =>
    submissionAnswered(context, { task, intent, apiKey }, await submit(context, task, request)),
  );
}

/** The call of the intent in memory will never be made by anybody: only its own process could have made it. */
export function forgoCall(context: TaskContext, task: CaptchaTask): void {
  const { mono } = context.moment();
  remember(context, task, (memory) => callForgone(memory, mono));
  context.lanes.leave(keyOfTask(task));
}

function requestOf(
  task: CaptchaTask,
  apiKey: string,
  sources: Sources | undefined,
  pingback: string | undefined,
): SubmitRequest {
  const { captcha, proxy } = task.spec;
  const { proxyAddress, image, captcha: whole = captcha } = sources?.state === 'ready' ? sources : {};
  const address = proxy?.address ?? proxyAddress;
  return {
    apiKey,
    spec: whole,
    ...(image === undefined ? {} : { image }),
    ...(proxy === undefined || address === undefined ? {} : { proxy: { type: proxy.type, address } }),
    ...(pingback === undefined ? {} : { pingback }),
  };
}

async function submit(context: TaskContext, task: CaptchaTask, request: SubmitRequest): Promise<SubmitOutcome> {
  try {
    return await context.options.provider.submit(request, { timeoutMs: SUBMIT_TIMEOUT_MS });
  } catch (error) {
    // A bug of ours: the call may have been made.
    context.options.log.error('A submission ended with an exception', { ...about(task), error });
    return { kind: 'unknown', cause: 'exception' };
  }
}

async function submissionAnswered(
  context: TaskContext,
  { task, intent: { by, sentMono, pingbackURL }, apiKey }: { task: CaptchaTask; intent: OwnIntent; apiKey: string },
  outcome: SubmitOutcome,
): Promise<void> {
  const key = keyOfTask(task);
  const doubt = context.memories.get(key)?.urlDoubt;
  context.callbacks.answered(task, apiKey, {
    carried: pingbackURL !== undefined,
    outcome,
    doubt,
  });
  const { mono } = context.moment();
  const { metrics, log } = context.options;
  context.lanes.called(key, outcome);
  // Its callback was faster than the reply, or it was deleted meanwhile: nobody would return its permit.
  if (!isKnown(context, task)) {
    context.lanes.returnPermit(key);
    context.lanes.recorded(key);
  }
  metrics.inc('captcha_operator_submissions_total', { outcome: outcome.kind });
  metrics.observe('captcha_operator_submission_duration_seconds', {}, (mono - sentMono) / 1_000);
  if (outcome.kind !== 'accepted') log.info('A submission was not accepted', { ...about(task), ...describe(outcome) });
  const reply = await replyOf(context, task, apiKey, outcome);
  remember(context, task, (memory) => callEnded(memory, { by, outcome: reply }, mono));
  // What was paid for is recorded before anything new is begun.
  context.queue.add(key, 'urgent');
}

/** A key that was rotated between its last reading and the call fails no task: the next try reads the new one. */
async function replyOf(
  context: TaskContext,
  task: CaptchaTask,
  apiKey: string,
  outcome: SubmitOutcome,
): Promise<SubmitReply> {
  if (outcome.kind !== 'refused' || outcome.class !== 'keyRejected') return outcome;
  return (await context.keys.hasStill(task, apiKey)) === 'yes' ? outcome : { kind: 'keyOutdated' };
}

/** Polls the task's current submission, or books a place for that in the pace of its key. */
export function startPoll(context: TaskContext, task: CaptchaTask, final: boolean): void {
  const apiKey = context.keys.value(task);
  const { submission } = task.status ?? {};
  const captchaID = submission?.captchaID;
  if (apiKey === undefined || captchaID === undefined || !context.mayAct()) return;
  const { lanes } = context;
  const waitMs = hasPlace(context, task) ? lanes.usePoll(apiKey) : lanes.bookPoll(apiKey, task.metadata.namespace);
  if (waitMs > 0) {
    const nextMono = context.moment().mono + waitMs;
    remember(context, task, (memory) => pollBooked(memory, submission, nextMono));
    return;
  }
  remember(context, task, (memory) => pollSent(memory, submission, final));
  const sentMono = context.moment().mono;
  track(context, async () => {
    const outcome = await poll(context, task, { apiKey, captchaID, captcha: task.spec.captcha });
    context.lanes.polled(apiKey, outcome);
    pollEnded(context, {
      task,
      outcome,
      final,
      silent: context.callbacks.view(task).silent,
      sentMono,
    });
  });
}

/** The place that was booked has come, and no hint has made the task due anew since. */
function hasPlace(context: TaskContext, task: CaptchaTask): boolean {
  const { booked, after, nextMono = Infinity } = context.memories.get(keyOfTask(task))?.poll ?? {};
  return booked === true && after === task.status?.submission?.pollAfterTime && nextMono <= context.moment().mono;
}

async function poll(
  context: TaskContext,
  task: CaptchaTask,
  request: Parameters<TaskContext['options']['provider']['poll']>[0],
): Promise<PollOutcome> {
  try {
    return await context.options.provider.poll(request, { timeoutMs: POLL_TIMEOUT_MS });
  } catch (error) {
    context.options.log.error('A poll ended with an exception', { ...about(task), error });
    return { kind: 'unreachable', cause: 'network' };
  }
}

function pollEnded(context: TaskContext, poll: AnsweredPoll): void {
  const { task, outcome } = poll;
  const { policy, metrics } = context.options;
  const moment = context.moment();
  const late = cameLate(context.memories.get(keyOfTask(task)), poll);
  remember(context, task, (memory) => pollAnswered(memory, poll, moment, policy));
  if (task.status?.submission?.pingback === true) {
    metrics.inc('captcha_operator_poll_fallbacks_total', { result: late ? 'late' : outcome.kind });
  }
  context.queue.add(keyOfTask(task), outcome.kind === 'pending' ? undefined : 'urgent');
}

function describe(outcome: SubmitOutcome): object {
  if (outcome.kind === 'refused') return { outcome: outcome.class, code: outcome.code };
  return 'cause' in outcome ? { outcome: outcome.kind, cause: outcome.cause } : { outcome: outcome.kind };
}

function track(context: TaskContext, run: () => Promise<void>): void {
  const call = run().finally(() => context.calls.delete(call));
  context.calls.add(call);
}
