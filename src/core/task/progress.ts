/**
 * Rules that move a task forward: polling an accepted submission (section 7) and admitting a waiting task to its next
 * submission (section 5: key, place in the queue, sources, intent). The last rules of the table: whoever gets here is
 * held by nothing.
 */
import type { Submission } from '../../api/captchatask.ts';
import { SILENT_MESSAGE } from './callback-mode.ts';
import { firstPollDelayMs } from '../solution.ts';
import { isAbridged } from './abridged.ts';
import { summaryOf } from './conditions.ts';
import { WAITING_WRITE_MS } from './policy.ts';
import { pollIntervalMs, rereadMs } from './schedule.ts';
import {
  type TaskChoice,
  IDLE,
  type Rule,
  type Situation,
  deadlinePassed,
  order,
  sayWaiting,
  wakeIn,
  write,
} from './situation.ts';
import { parseTime } from './times.ts';
import { intended, waiting } from './transitions.ts';

export const POLL_RULES: readonly Rule[] = [
  {
    name: 'a poll that is under way is waited for',
    when: ({ memory, open }) => open?.captchaID !== undefined && memory.poll.underWay,
    choose: () => wakeIn(60_000),
  },
  {
    name: 'a task says once that it is being polled, while there is a key to poll it with',
    when: ({ memory, open, status, facts }) =>
      open?.captchaID !== undefined &&
      memory.poll.pending &&
      facts.key.state === 'present' &&
      summaryOf(status)?.reason !== 'Polling',
    choose: (situation) => {
      const detail = isSilenced(situation) ? { message: SILENT_MESSAGE } : {};
      return write(waiting(situation.task, 'Polling', situation.moment.now, detail));
    },
  },
  {
    name: 'an accepted task is polled when it is due',
    when: ({ open }) => open?.captchaID !== undefined,
    choose: (situation) => pollWhenDue(situation, situation.open as Submission),
  },
];

export const ADMISSION_RULES: readonly Rule[] = [
  {
    name: 'a task whose deadline passed is not submitted any more',
    when: deadlinePassed,
    choose: () => wakeIn(1_000),
  },
  {
    name: 'a task rests after an answer that may concern it alone',
    when: ({ memory, moment }) => (memory.notBeforeMono ?? -Infinity) > moment.mono,
    choose: ({ memory, moment }) => wakeIn((memory.notBeforeMono ?? 0) - moment.mono),
  },
  {
    name: 'the API key is read when it is needed',
    when: ({ facts }) => facts.key.state === 'unread',
    choose: () => order({ kind: 'readKey' }),
    keepsPlace: true,
  },
  {
    name: 'a task without an API key waits and says what is missing',
    when: ({ facts }) => facts.key.state === 'missing',
    choose: waitForKey,
  },
  {
    name: 'a task whose proxy or image is missing waits and says so',
    when: (situation) => msToSources(situation) > 0,
    choose: waitForSources,
  },
  {
    name: 'a task that wants to be submitted takes a place in the queue of its key',
    when: ({ facts }) => facts.lane.ticket === 'none',
    choose: () => order({ kind: 'joinLane' }),
  },
  {
    name: 'a task waits for its turn, and says why when its key is blocked',
    when: ({ facts }) => facts.lane.ticket !== 'granted',
    choose: (situation) => {
      const { blockage } = situation.facts.lane;
      if (blockage === undefined) return IDLE;
      const { reason, ...detail } = blockage;
      return sayWaiting(situation, reason, detail);
    },
    keepsPlace: true,
  },
  {
    name: 'proxy, image and long texts are read when it is the turn of the task',
    when: ({ task, memory }) => needsSources(task) && memory.sources?.state !== 'ready',
    choose: () => order({ kind: 'readSources' }),
    keepsPlace: true,
  },
  {
    name: 'the intent is written before the provider is called',
    when: () => true,
    choose: writeIntent,
    keepsPlace: true,
  },
];

/** Whether a submission needs more than the cached spec and the key. */
export function needsSources({ spec }: Situation['task']): boolean {
  const { captcha } = spec;
  const from = captcha.image?.bodyFrom ?? captcha.grid?.bodyFrom;
  return spec.proxy?.secretRef !== undefined || from !== undefined || isAbridged(captcha);
}

function pollWhenDue(situation: Situation, open: Submission): TaskChoice {
  const { facts } = situation;
  const dueInMs = msToPoll(situation, open);
  if (dueInMs > 0) return wakeIn(dueInMs);
  if (facts.key.state === 'unread') return order({ kind: 'readKey' });
  if (facts.key.state === 'missing') return waitForKey(situation);
  if (facts.lane.pollPauseMs > 0) return wakeIn(facts.lane.pollPauseMs);
  return order({ kind: 'poll', final: false });
}

/** Until the next poll: from our last one while status shows the same `pollAfterTime`, else from that. */
function msToPoll(situation: Situation, open: Submission): number {
  const { memory, facts, moment, policy, task } = situation;
  const { poll } = memory;
  if (poll.nextMono !== undefined && poll.after === open.pollAfterTime) return poll.nextMono - moment.mono;
  const dueInMs = dueAt(situation, open) - moment.now;
  // Status holds whole seconds, rounded down: a hint of just now looks up to a second older.
  const overdueAtStart = -dueInMs > facts.actingMs + 1_000;
  if (!overdueAtStart) return dueInMs;
  // Everything that fell due while nobody acted is spread over one interval, each task at its own place.
  return fractionOf(task.metadata.uid) * pollIntervalMs(true, policy, 0.5) - facts.actingMs;
}

/** While callbacks are silent a task is first polled like one without: what status says stands for when they are not. */
function dueAt(situation: Situation, open: Submission): number {
  const { task, moment } = situation;
  const at = parseTime(open.pollAfterTime) ?? moment.now;
  if (!isSilenced(situation)) return at;
  return Math.min(at, (parseTime(open.submittedTime) ?? at) + firstPollDelayMs(task.spec.captcha.type));
}

/** A callback was to come, and none of its API key does. */
function isSilenced({ facts, open }: Situation): boolean {
  return open?.pingback === true && facts.callbacks.silent;
}

/** A number in [0,1) that belongs to the uid (FNV-1a, and its bits mixed once more). */
function fractionOf(uid: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < uid.length; index += 1) hash = Math.imul(hash ^ uid.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 0x1_0000_0000;
}

function waitForKey(situation: Situation): TaskChoice {
  const { key } = situation.facts;
  if (key.state !== 'missing') return IDLE;
  const { message, retryInMs, unreadForMs = Infinity } = key;
  if (unreadForMs < WAITING_WRITE_MS) return wakeIn(retryInMs);
  return sayWaiting(situation, 'MissingAPIKey', { message, stalled: true }, retryInMs);
}

/** Until proxy and image are read again; 0 where nothing is known to be missing. */
function msToSources({ memory, moment }: Situation): number {
  if (memory.sources?.state !== 'missing') return 0;
  const { readMono, unreadSinceMono } = memory.sources;
  return rereadMs(unreadSinceMono === undefined ? undefined : readMono - unreadSinceMono) + readMono - moment.mono;
}

function waitForSources(situation: Situation): TaskChoice {
  const { memory, moment } = situation;
  if (memory.sources?.state !== 'missing') return IDLE;
  const { message, unreadSinceMono = -Infinity } = memory.sources;
  const retryInMs = msToSources(situation);
  if (moment.mono - unreadSinceMono < WAITING_WRITE_MS) return wakeIn(retryInMs);
  return sayWaiting(situation, 'Pending', { message, stalled: true }, retryInMs);
}

function writeIntent({ task, status, facts, moment }: Situation): TaskChoice {
  const { intentName: by, pingback } = facts;
  const sameAttempt = (status?.attempts ?? 0) >= 1 && status?.submission === undefined;
  const next = intended(task, { by, pingback: pingback.kind === 'url', sameAttempt }, moment.now);
  const pingbackURL = pingback.kind === 'url' ? pingback.url : undefined;
  return order({ kind: 'writeIntent', status: next, by, pingbackURL });
}
