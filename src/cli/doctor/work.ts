/**
 * What is wrong with the work: tasks that wait for something a person must do, keys and addresses that rest, callbacks
 * that do not come, letters. Pure. Breakers and silence live in the operator's memory; this sees them in the tasks that
 * wait for them, and says so where there are none.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { DeadLetter } from '../../api/deadletter.ts';
import type { UnknownReason } from '../../api/names.ts';
import { ageOf, solvedOf } from '../session.ts';
import { judged, type Facts, type Finding } from './facts.ts';

export function workFindings(facts: Facts, nowMs: number): Finding[] {
  return [
    ...judged(facts.tasks, { id: 'tasks', name: 'tasks' }, (tasks) => taskFaults(tasks, facts, nowMs)),
    ...judged(facts.letters, { id: 'letters', name: 'dead letters' }, (letters) => letterFaults(letters, nowMs)),
  ];
}

interface Cause {
  level: 'fault' | 'warning';
  /** Waits that are shorter are nothing to speak of. */
  afterMs: number;
  says: string;
  cure: string;
  runbook: string;
}

const MINUTE_MS = 60_000;

/** What a task waits for, where a person should know of it. */
const CAUSES: Partial<Record<UnknownReason, Cause>> = {
  AccountExhausted: {
    level: 'fault',
    afterMs: 0,
    says: 'the account of their key is exhausted or suspended',
    cure: 'renew the plan, or change the key; it is tried again every 5 minutes',
    runbook: 'CaptchaProviderAccountExhausted',
  },
  KeyRejected: {
    level: 'fault',
    afterMs: 0,
    says: 'the provider refuses their key, or this address (an open breaker)',
    cure: 'correct the Secret; it is read again by itself',
    runbook: 'CaptchaProviderKeyRejected',
  },
  MissingAPIKey: {
    level: 'fault',
    afterMs: 0,
    says: 'their API key is missing, or may not be read',
    cure: 'create the Secret that the task names; kubectl apply -n <namespace> -k deploy/tenant',
    runbook: 'CaptchaTasksStuck',
  },
  ProviderUnreachable: {
    level: 'fault',
    afterMs: MINUTE_MS,
    says: 'the provider cannot be reached (an open breaker)',
    cure: 'check egress: NetworkPolicy, HTTPS_PROXY, PROVIDER_URL',
    runbook: 'CaptchaProviderErrors',
  },
  ProviderBusy: {
    level: 'warning',
    afterMs: 5 * MINUTE_MS,
    says: 'every thread of their account is in use',
    cure: 'wait, or get more threads; the oldest goes first',
    runbook: 'CaptchaProviderBusy',
  },
  DeadLettered: {
    level: 'warning',
    afterMs: MINUTE_MS,
    says: 'their results were received and cannot be stored',
    cure: 'kubectl captcha redrive --all, once the cause is gone: kubectl get dl -o wide names it',
    runbook: 'CaptchaDeadLettersGrowing',
  },
};

/** Longest that a task is without a word of the operator where all is well. */
const UNSEEN_AFTER_MS = MINUTE_MS;
/** After its deadline a task may still be polled and its letters retried. */
const STUCK_AFTER_MS = 10 * MINUTE_MS;

function taskFaults(tasks: readonly CaptchaTask[], facts: Facts, nowMs: number): Finding[] {
  const open = tasks.filter(({ status }) => status?.completionTime === undefined);
  return [
    ...unseenFaults(open, facts, nowMs),
    ...Object.entries(CAUSES).flatMap(([reason, cause]) => causeFaults(open, { reason, cause, nowMs })),
    ...callbackFaults(open),
    ...stuckFaults(open, nowMs),
  ];
}

const createdMs = ({ metadata }: CaptchaTask): number => Date.parse(metadata.creationTimestamp);

/** `3 tasks (the oldest, shop/login, for 4m)`, the oldest first. */
function counted(tasks: readonly CaptchaTask[], nowMs: number): string {
  const [oldest] = tasks.toSorted((a, b) => createdMs(a) - createdMs(b));
  if (oldest === undefined) return 'no task';
  const { namespace, name } = oldest.metadata;
  const which = `${namespace}/${name}, for ${ageOf(createdMs(oldest), nowMs)}`;
  return tasks.length === 1 ? `1 task (${which})` : `${tasks.length} tasks (the oldest: ${which})`;
}

function unseenFaults(open: readonly CaptchaTask[], { settings }: Facts, nowMs: number): Finding[] {
  const unseen = open.filter((task) => task.status?.phase === undefined && nowMs - createdMs(task) > UNSEEN_AFTER_MS);
  if (unseen.length === 0) return [];
  const watched = settings.kind === 'seen' ? settings.value['WATCH_NAMESPACES'] : undefined;
  const spaces = watched === undefined || watched === '' ? undefined : watched.split(',').map((name) => name.trim());
  const outside = unseen.filter(({ metadata }) => spaces?.includes(metadata.namespace) === false);
  const says = `The operator has not looked at ${counted(unseen, nowMs)}.`;
  if (outside.length > 0) {
    const cure = `it watches ${spaces?.join(', ')} only (WATCH_NAMESPACES): add the namespace`;
    return [{ id: 'not-watched', level: 'fault', says, cure, runbook: 'CaptchaTasksStuck' }];
  }
  const cure = 'see whether it runs and leads (above), and whether it may watch the namespace';
  return [{ id: 'unseen-tasks', level: 'fault', says, cure, runbook: 'CaptchaOperatorWatchRefused' }];
}

function causeFaults(
  open: readonly CaptchaTask[],
  { reason, cause, nowMs }: { reason: string; cause: Cause; nowMs: number },
): Finding[] {
  const waiting = open.filter((task) => solvedOf(task).reason === reason && nowMs - createdMs(task) >= cause.afterMs);
  if (waiting.length === 0) return [];
  const { level, cure, runbook } = cause;
  return [{ id: reason, level, says: `${reason}: ${counted(waiting, nowMs)} waiting: ${cause.says}.`, cure, runbook }];
}

/** How the messages of the operator begin where callbacks do not come, or are refused (docs/callback-host.md). */
const SILENT = 'Of late no callbacks came';
const REFUSED = 'The provider refuses the callback URL';

function callbackFaults(open: readonly CaptchaTask[]): Finding[] {
  const says = (begin: string): boolean => open.some((task) => solvedOf(task).message.startsWith(begin));
  const cure = 'docs/callback-host.md: is the host reachable from outside, and registered with the provider?';
  return [
    ...(says(SILENT)
      ? [
          finding(
            'silent',
            'Callbacks do not come for an API key: its tasks are polled from the start.',
            'CaptchaCallbackKeySilent',
          ),
        ]
      : []),
    ...(says(REFUSED)
      ? [
          finding(
            'refused',
            'The provider refuses the callback URL: tasks are submitted without it.',
            'CaptchaCallbackRefused',
          ),
        ]
      : []),
  ];

  function finding(id: string, text: string, runbook: string): Finding {
    return { id, level: 'warning', says: text, cure, runbook };
  }
}

function stuckFaults(open: readonly CaptchaTask[], nowMs: number): Finding[] {
  const stuck = open.filter(({ spec, status }) => {
    if (status?.startTime === undefined || status.deadLetter !== undefined || spec.suspend) return false;
    return nowMs > Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1_000 + STUCK_AFTER_MS;
  });
  if (stuck.length === 0) return [];
  const says = `${counted(stuck, nowMs)} should have ended by their deadline.`;
  return [
    {
      id: 'stuck',
      level: 'fault',
      says,
      cure: 'see whether the operator leads and watches',
      runbook: 'CaptchaTasksStuck',
    },
  ];
}

/** Retries begin after 10 s and double: by then a passing trouble has passed. */
const OPEN_LETTER_MS = 5 * MINUTE_MS;

function letterFaults(letters: readonly DeadLetter[], nowMs: number): Finding[] {
  const abandoned = letters.filter(({ status }) => status?.phase === 'Abandoned');
  const pending = letters.filter(
    ({ metadata, status }) =>
      (status?.phase ?? 'Pending') === 'Pending' && nowMs - Date.parse(metadata.creationTimestamp) >= OPEN_LETTER_MS,
  );
  const cure = 'remove the cause (kubectl get dl -o wide names it), then kubectl captcha redrive --all';
  return [
    ...(abandoned.length === 0
      ? []
      : [
          letterFinding(
            'abandoned',
            'fault',
            `${many(abandoned)} given up: ${classesOf(abandoned)}.`,
            'CaptchaDeadLetterAbandoned',
          ),
        ]),
    ...(pending.length === 0
      ? []
      : [
          letterFinding(
            'pending-letters',
            'warning',
            `${many(pending)} not stored yet: ${classesOf(pending)}.`,
            'CaptchaDeadLetterOpen',
          ),
        ]),
  ];

  function letterFinding(id: string, level: Finding['level'], says: string, runbook: string): Finding {
    return { id, level, says, cure, runbook };
  }
}

function many({ length }: readonly DeadLetter[]): string {
  return length === 1 ? '1 paid result is' : `${length} paid results are`;
}

/** The classes of their last errors, each with its number. */
function classesOf(letters: readonly DeadLetter[]): string {
  const groups = Map.groupBy(letters, ({ spec, status }) => status?.lastError?.class ?? spec.error.class);
  return [...groups].map(([name, { length }]) => `${name} ${length}`).join(', ');
}
