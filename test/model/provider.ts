/**
 * The provider: it takes submissions and is paid for them, refuses them, answers polls. What it finds out about a
 * captcha is chosen when somebody first hears of it.
 */
import type { PollOutcome } from '../../src/core/outcome.ts';
import { classifyCode } from '../../src/core/provider-codes.ts';
import { type Draft, type Here, type Model, nameOf, withOperator } from './draft.ts';
import { type Handle, intern } from './intern.ts';
import { pollEnded, submitAnswered } from './operator.ts';
import { type Answer, type Call, type Job, type State, keyOfJob } from './state.ts';

const WORDS = { unsolvable: 'ERROR_CAPTCHA_UNSOLVABLE', hopeless: 'ERROR_BAD_TOKEN_OR_PAGEURL' } as const;

/** The answer as a callback carries it. */
export function codeOf(job: Job): string {
  return job.answer === 'unsolvable' || job.answer === 'hopeless' ? WORDS[job.answer] : valueOf(job);
}

export function idOf({ uid, attempt }: Pick<Job, 'uid' | 'attempt'>): string {
  return `${uid.slice(-1)}00${attempt}`;
}

export function valueOf(job: Pick<Job, 'uid' | 'attempt'>): string {
  return `solution-${idOf(job)}`;
}

/** What the provider may say of this job from now on. */
export function answersOf({ configuration }: Model, job: Job): Answer[] {
  if (job.answer !== 'none') return [job.answer];
  const { unsolvable, hopeless } = configuration;
  return [
    'value',
    ...(unsolvable === true ? ['unsolvable' as const] : []),
    ...(hopeless === true ? ['hopeless' as const] : []),
  ];
}

export function withJob(state: State, job: Job): readonly Job[] {
  const key = keyOfJob(job);
  return [...state.jobs.filter((other) => keyOfJob(other) !== key), job].sort((one, other) =>
    keyOfJob(one) < keyOfJob(other) ? -1 : 1,
  );
}

type Submission = Extract<Call, { kind: 'submit' }>;

/** Being paid twice for one attempt is what must never be. */
function accept(state: State, { uid, attempt }: Submission): { jobs: readonly Job[]; broken?: string } {
  const known = state.jobs.some((job) => job.uid === uid && job.attempt === attempt);
  if (known) return { jobs: state.jobs, broken: 'the provider accepted one attempt twice' };
  return { jobs: withJob(state, { uid, attempt, answer: 'none', callbacks: 0, acknowledged: false }) };
}

export function callSteps(here: Here, drafts: Draft[]): void {
  for (const call of here.operator.calls) {
    const { value } = call;
    if (value.kind === 'submit') submitSteps(here, call, value, drafts);
    else pollSteps(here, call, value, drafts);
  }
}

function submitSteps(here: Here, call: Handle<Call>, value: Submission, drafts: Draft[]): void {
  const { model, state, operator } = here;
  const { product, configuration } = model;
  const answered = (outcome: Parameters<typeof submitAnswered>[3]): State =>
    withOperator(here, submitAnswered(product, operator, call, outcome));
  const { attempt } = value;
  const who = nameOf(here);
  if (value.stage === 'sent') {
    const { jobs, broken } = accept(state, value);
    const accepted = intern<Call>({ ...value, stage: 'accepted' });
    const calls = operator.calls.map((other) => (other === call ? accepted : other));
    drafts.push({
      label: `the provider accepts attempt ${attempt} from ${who}`,
      broken,
      state: withOperator(here, { ...operator, calls }, { jobs }),
    });
    const busy = { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' } as const;
    if (configuration.refusals) {
      drafts.push({ label: `the provider refuses attempt ${attempt} from ${who}`, state: answered(busy) });
    }
  } else {
    const outcome = { kind: 'accepted', captchaID: idOf(value) } as const;
    drafts.push({ label: `${who} hears that attempt ${attempt} was accepted`, state: answered(outcome) });
  }
  if (!configuration.unknowns) return;
  const arrived = value.stage === 'sent' ? 'is not reached with' : 'answers, but is not heard about';
  drafts.push({
    label: `the provider ${arrived} attempt ${attempt} from ${who}: unknown`,
    unfair: true,
    state: answered({ kind: 'unknown', cause: 'reset' }),
  });
}

function pollSteps(here: Here, call: Handle<Call>, value: Extract<Call, { kind: 'poll' }>, drafts: Draft[]): void {
  const { state, operator, model } = here;
  const { uid } = value.task.metadata;
  const id = value.task.status?.submission?.captchaID;
  const job = state.jobs.find((one) => one.uid === uid && idOf(one) === id);
  // Every id in status was given by the provider.
  if (job === undefined) return;
  const heard = (outcome: PollOutcome, what: string, jobs = state.jobs): void => {
    const next = pollEnded(model.product, operator, call, outcome);
    drafts.push({ label: `${nameOf(here)} polls ${id}: ${what}`, state: withOperator(here, next, { jobs }) });
  };
  if (job.answer === 'none') heard({ kind: 'pending' }, 'not ready');
  for (const answer of answersOf(model, job)) {
    const jobs = withJob(state, { ...job, answer });
    if (answer === 'value') heard({ kind: 'solved', value: valueOf(job) }, 'solved', jobs);
    else heard(classifyCode(WORDS[answer], 'res'), answer, jobs);
  }
}

/** A submission whose process has died reaches the provider all the same. */
export function orphanSteps(state: State, drafts: Draft[]): void {
  for (const orphan of state.orphans) {
    const { value } = orphan;
    if (value.kind !== 'submit') continue;
    const { jobs, broken } = accept(state, value);
    const orphans = state.orphans.filter((other) => other !== orphan);
    drafts.push({
      label: `the provider accepts attempt ${value.attempt} from a process that has died`,
      unfair: true,
      broken,
      state: { ...state, jobs, orphans },
    });
  }
}
