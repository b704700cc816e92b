/**
 * Callbacks: the provider makes them, the sidecar receives them by the product's protocol and keeps what it cannot
 * apply at once in its spool, which survives it. It says 200 when the callback is durable. What the files of
 * `src/callback` do around the protocol is restated here in four steps: a verdict, the spool after a failure, the spool
 * while the attempt goes on, and the drainer.
 */
import type { CallbackVerdict } from '../../src/core/callback/callback.ts';
import { type Draft, type Model, flying } from './draft.ts';
import type { ReceiveArgs } from './product.ts';
import { answersOf, codeOf, idOf, withJob } from './provider.ts';
import { type ProtocolOutcome, protocolOutcomes } from './requests.ts';
import { type Job, type Received, type State, keyOfJob } from './state.ts';
import { begun } from './works.ts';

export function callbackSteps(model: Model, state: State, drafts: Draft[]): void {
  const { callbacks } = model.configuration;
  if (callbacks === undefined) return;
  if (callbacks.lag === true) lagSteps(state, drafts);
  const isBusy = state.received.some(({ spooled }) => !spooled);
  for (const job of state.jobs) {
    if (job.callbacks < callbacks.each && !isBusy) arrivals(model, state, job, drafts);
  }
  for (const received of state.received) {
    if (received.work === undefined) drainSteps(state, received, drafts);
    else receiveSteps(model, state, received, drafts);
  }
  if (callbacks.crashes && state.received.some(({ work }) => work !== undefined)) {
    const kept = state.received.filter(({ spooled }) => spooled).map(idle);
    drafts.push({
      label: 'the sidecar is killed and starts again',
      unfair: true,
      state: { ...state, received: inOrder(kept) },
    });
  }
}

function lagSteps(state: State, drafts: Draft[]): void {
  if (state.lagging === state.task) return;
  drafts.push({ label: 'cached reads catch up', state: { ...state, lagging: state.task } });
}

function inOrder(received: Received[]): Received[] {
  return received.sort((one, other) => (one.job < other.job ? -1 : 1));
}

function idle({ job }: Received): Received {
  return { job, work: undefined, spooled: true, beside: false };
}

function receive(job: Job, by: ReceiveArgs['by']): NonNullable<Received['work']> {
  const { uid, attempt } = job;
  return begun('receive', { uid, attempt, id: idOf(job), code: codeOf(job), by });
}

function arrivals(model: Model, state: State, job: Job, drafts: Draft[]): void {
  for (const answer of answersOf(model, job)) {
    const heard: Job = { ...job, answer, callbacks: job.callbacks + 1 };
    const early = model.product.acknowledges === 'at once' ? { acknowledged: true } : {};
    const received: Received = { job: keyOfJob(job), work: receive(heard, 'intake'), spooled: false, beside: false };
    drafts.push({
      label: `a callback of attempt ${job.attempt} arrives: ${answer}`,
      unfair: true,
      state: {
        ...state,
        jobs: withJob(state, { ...heard, ...early }),
        received: inOrder([...state.received, received]),
      },
    });
  }
}

function replacedBy(state: State, received: Received, next: Received | undefined): Received[] {
  const others = state.received.filter((other) => other !== received);
  return next === undefined ? others : inOrder([...others, next]);
}

function acknowledgedJobs(state: State, key: string): readonly Job[] {
  const job = state.jobs.find((one) => keyOfJob(one) === key);
  return job === undefined ? state.jobs : withJob(state, { ...job, acknowledged: true });
}

function receiveSteps(model: Model, state: State, received: Received, drafts: Draft[]): void {
  const { work, spooled, beside } = received;
  if (work === undefined) return;
  const who = spooled && !beside ? 'the drainer' : 'the sidecar';
  for (const outcome of protocolOutcomes(model, state, work)) {
    const { next, objects, label, unfair, broken, flight } = outcome;
    const change = { ...objects, ...flying(flight) };
    const verdict = next.ended ? `, ${(next.verdict as CallbackVerdict).kind}` : '';
    drafts.push({
      label: `${who} ${label}${verdict}`,
      ...(unfair ? { unfair } : {}),
      broken,
      state: { ...state, ...change, ...afterOutcome(state, received, next) },
    });
  }
  if (spooled || model.configuration.callbacks?.spool !== true) return;
  drafts.push({
    label: 'the sidecar spools the callback, answers 200, and goes on',
    unfair: true,
    state: {
      ...state,
      jobs: acknowledgedJobs(state, received.job),
      received: replacedBy(state, received, { ...received, spooled: true, beside: true }),
    },
  });
}

/** What ended otherwise than by `retry` is answered 200; what failed is in the spool first, and then answered 200, too. */
function afterOutcome(state: State, received: Received, next: ProtocolOutcome['next']): Partial<State> {
  if (!next.ended) return { received: replacedBy(state, received, { ...received, work: next.work }) };
  const kept = concluded(received, next.verdict as CallbackVerdict);
  return { jobs: acknowledgedJobs(state, received.job), received: replacedBy(state, received, kept) };
}

/** Undefined: nothing of it is left in the sidecar. */
function concluded(received: Received, verdict: CallbackVerdict): Received | undefined {
  return verdict.kind === 'retry' ? idle(received) : undefined;
}

function drainSteps(state: State, received: Received, drafts: Draft[]): void {
  const job = state.jobs.find((one) => keyOfJob(one) === received.job);
  if (job === undefined) return;
  const next = { ...received, work: receive(job, 'drainer') };
  drafts.push({
    label: 'the drainer takes up a record',
    state: { ...state, received: replacedBy(state, received, next) },
  });
}
