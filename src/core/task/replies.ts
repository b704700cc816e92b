/**
 * Rules for what the provider said (section 5, "Record" and the classes of answers): to this process, in the reply of
 * `in.php` to our own intent and in a final answer of `res.php` that is no result; and to the sidecar, which leaves the
 * word of a callback in status. Replies come before anything else is decided, because one that is forgotten is a paid
 * submission lost. Recording an id is not bound to leadership.
 */
import type { CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { Refusal, RefusalClass } from '../outcome.ts';
import { BREAKER_SAYS } from './breaker.ts';
import type { Blockage, Moment } from './facts.ts';
import type { Millis } from './times.ts';
import { type SubmitReply, type TaskMemory, isOf } from './memory.ts';
import { REFUSED_MESSAGE, SILENT_MESSAGE } from './callback-mode.ts';
import { classifyCode } from '../provider-codes.ts';
import { UNLISTED_TRIES } from './policy.ts';
import { BUSY_BACKOFF, backoffMs, firstPollAt } from './schedule.ts';
import {
  type TaskChoice,
  IDLE,
  type Rule,
  type Situation,
  order,
  ownsFreshIntent,
  ownsUnusedIntent,
  write,
} from './situation.ts';
import { attemptEnded, failed, notAccepted, submitted, waiting } from './transitions.ts';

type Reply = NonNullable<TaskMemory['reply']>;

export const REPLY_RULES: readonly Rule[] = [
  {
    name: 'a reply to an intent that ended or was replaced changes nothing',
    when: ({ memory, open }) => memory.reply !== undefined && open?.intentBy !== memory.reply.by,
    choose: () => order({ kind: 'settleReply', conflict: false }),
  },
  {
    name: 'a reply after the id became known from elsewhere keeps the stored id',
    when: ({ memory, open }) => memory.reply !== undefined && open?.captchaID !== undefined,
    choose: ({ memory, open }) => {
      const outcome = memory.reply?.outcome;
      const conflict = outcome?.kind === 'accepted' && outcome.captchaID !== open?.captchaID;
      return order({ kind: 'settleReply', conflict });
    },
  },
  {
    name: 'an accepted id is recorded at once',
    when: ({ memory }) => memory.reply?.outcome.kind === 'accepted',
    choose: recordAccepted,
  },
];

export const REFUSAL_RULES: readonly Rule[] = [
  {
    name: 'an own intent that may not be used any more is given up, however old: its call is never made',
    when: (situation) => ownsUnusedIntent(situation) && !(ownsFreshIntent(situation) && mayCall(situation.facts)),
    choose: () => order({ kind: 'forgoCall' }),
  },
  {
    name: 'a submission that was not accepted is written back',
    when: ({ memory, status }) => memory.reply !== undefined && status?.deadLetter === undefined,
    choose: (situation) =>
      situation.memory.reply === undefined ? IDLE : recordNotAccepted(situation, situation.memory.reply),
  },
];

/** A call is made by the leader, in a turn that was given for it. */
function mayCall({ mayAct, lane }: Situation['facts']): boolean {
  return mayAct && lane.ticket === 'granted';
}

export const LAST_WORD_RULES: readonly Rule[] = [
  {
    name: 'a final answer of a poll that is no result ends the attempt or the task',
    when: ({ memory, open }) => isOf(memory.refusal?.of, open),
    choose: ({ memory, task, moment }) => {
      if (memory.refusal === undefined) return IDLE;
      const { class: refusalClass, code } = memory.refusal.answer;
      const status =
        refusalClass === 'permanent' ? rejected(task, code, moment.now) : attemptEnded(task, code, moment.now);
      return order({ kind: 'recordRefusal', status });
    },
  },
  {
    name: 'a task that can never succeed by the word that ended its attempt is not submitted again',
    when: ({ status }) => status?.submission?.endTime !== undefined && isPermanent(status.submission.code),
    choose: ({ task, status, moment }) => write(rejected(task, status?.submission?.code as string, moment.now)),
  },
];

/** By the word of a callback or a poll; of those only callbacks leave a permanent one for us to find. */
function isPermanent(code: string | undefined): boolean {
  const word = code === undefined ? undefined : classifyCode(code, 'callback');
  return word?.kind === 'refused' && word.class === 'permanent';
}

function recordAccepted(situation: Situation): TaskChoice {
  const { memory, task, open, moment } = situation;
  const outcome = memory.reply?.outcome;
  if (outcome?.kind !== 'accepted') return IDLE;
  const at = repliedAt(memory, moment);
  // From the same instant: `core/task/callback-mode` tells a hint by it.
  const status = submitted(task, outcome.captchaID, firstPollAt(task, open?.pingback ?? false, at), at);
  const message = polledBecause(situation);
  if (message === undefined) return order({ kind: 'recordReply', status });
  return order({
    kind: 'recordReply',
    status: waiting({ ...task, status }, 'Polling', moment.now, { message }),
  });
}

/** When the reply came. It may have had to wait to be recorded, and its captcha be solved by now. */
function repliedAt({ intent }: TaskMemory, { now, mono }: Moment): Millis {
  return now - (mono - (intent?.endedMono ?? mono));
}

/** Why a task that wanted a callback is polled from the start, where its API key is the cause and nothing holds it. */
function polledBecause({ facts, task, open, status }: Situation): string | undefined {
  if (task.spec.delivery !== 'Callback' || task.spec.suspend || status?.deadLetter !== undefined) return undefined;
  if (open?.pingback === true) return facts.callbacks.silent ? SILENT_MESSAGE : undefined;
  return facts.callbacks.refused ? REFUSED_MESSAGE : undefined;
}

function recordNotAccepted(situation: Situation, reply: Reply): TaskChoice {
  const { task, moment } = situation;
  const { outcome } = reply;
  if (outcome.kind === 'refused') return recordRefused(situation, outcome);
  if (outcome.kind === 'notSent' || outcome.kind === 'keyOutdated') {
    return record(notAccepted(task, 'Pending', moment.now));
  }
  if (outcome.kind === 'unreachable' && outcome.cause === 'http429') {
    return record(notAccepted(task, 'ProviderBusy', moment.now));
  }
  const restMs = mayBeTheTask(outcome) ? backoffMs(BUSY_BACKOFF, 1, moment.random) : undefined;
  return record(notAccepted(task, 'ProviderUnreachable', moment.now), restMs);
}

/** A 4xx may be about this one task: it rests, so that another one is the next probe of its key. */
function mayBeTheTask(outcome: SubmitReply): boolean {
  return outcome.kind === 'unreachable' && outcome.cause === 'http4xx';
}

/** What a task says while a refusal that concerns its key, its address or the provider keeps it waiting. */
const WAITING_FOR: Partial<Record<RefusalClass, Blockage>> = {
  busy: { reason: 'ProviderBusy' },
  blocked: { reason: 'ProviderBusy', message: 'The provider blocks this API key for a while.' },
  accountExhausted: BREAKER_SAYS.accountExhausted,
  addressBlocked: { reason: 'KeyRejected' },
  addressNotAllowed: { reason: 'KeyRejected' },
  transient: {
    reason: 'ProviderUnreachable',
    message: 'The provider reports a fault of its own; submissions back off.',
  },
};

function recordRefused({ facts, task, memory, moment }: Situation, refusal: Refusal): TaskChoice {
  const { code } = refusal;
  const { reason, ...detail } = saidOf(refusal.class, facts.lane.blockage) ?? {};
  if (reason !== undefined) return record(notAccepted(task, reason, moment.now, detail));
  if (refusal.class === 'retriable') return record(attemptEnded(task, code, moment.now));
  if (memory.intent?.pingbackURL !== undefined && memory.urlDoubt?.refused === true) {
    return record(
      notAccepted(task, 'Pending', moment.now, {
        message: triedWithoutURL(code),
      }),
    );
  }
  const message = triedAgain(refusal, memory.unlistedTries);
  if (message === undefined) return record(rejected(task, code, moment.now));
  const restMs = backoffMs(BUSY_BACKOFF, memory.unlistedTries, moment.random);
  return record(notAccepted(task, 'Pending', moment.now, { message }), restMs);
}

/** Nothing was accepted, so the same attempt is tried at once without what was refused. */
function triedWithoutURL(code: string): string {
  return `The provider refuses the callback URL (${code}); the task is submitted without one.`;
}

/** "No balance" of an account that is known to be exhausted says that, and not that the provider is busy. */
function saidOf(refusalClass: RefusalClass, blockage: Blockage | undefined): Blockage | undefined {
  const exhausted = refusalClass === 'busy' && blockage?.reason === 'AccountExhausted';
  return exhausted ? blockage : WAITING_FOR[refusalClass];
}

/** What a task says that is tried again by itself; undefined where the refusal is its end. */
function triedAgain({ class: refusalClass, code }: Refusal, tries: number): string | undefined {
  if (refusalClass === 'callbackRefused') {
    return `The provider refuses the callback address (${code}); the task is tried again.`;
  }
  if (refusalClass !== 'unlisted' || tries >= UNLISTED_TRIES) return undefined;
  return `The provider answered with an unknown code (${code}); the task is tried again.`;
}

/** The provider client's own word for a task that has no encoding; no call was made for it. */
const NOT_ENCODABLE = 'INVALID_TASK';

function rejected(task: Situation['task'], code: string, now: number): CaptchaTaskStatus {
  if (code === NOT_ENCODABLE) {
    const message = 'The task cannot be submitted as it is written.';
    return failed(task, { class: 'Permanent', reason: 'InvalidTask', message }, now);
  }
  const message = `The provider rejected the task (${code}).`;
  return failed(task, { class: 'Permanent', reason: 'ProviderRejected', code, message }, now);
}

function record(status: CaptchaTaskStatus, restMs?: number): TaskChoice {
  return order({ kind: 'recordReply', status, ...(restMs === undefined ? {} : { restMs }) });
}
