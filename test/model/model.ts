/**
 * Everything that can happen next in a state, and what must never come of it. One step is one request with its effect
 * and reply, one look of an operator, or one act of the provider, the network, a person or death.
 */
import { phaseOf } from '../../src/core/deadletter/facts.ts';
import type { Configuration } from './configurations.ts';
import { createAdvances } from './desk.ts';
import { type Draft, type Here, type Model, flying, nameOf, withOperator } from './draft.ts';
import { intern } from './intern.ts';
import { broken } from './invariants.ts';
import { journalSteps, withoutLead } from './journal.ts';
import { letterSteps } from './letters.ts';
import { type View, bootedOperator, createLooks, withCopy } from './operator.ts';
import { peopleSteps } from './people.ts';
import type { Product } from './product.ts';
import { callSteps, orphanSteps } from './provider.ts';
import { requestOutcomes } from './requests.ts';
import { serve } from './server.ts';
import { callbackSteps } from './sidecar.ts';
import { pumped } from './room.ts';
import { type Operator, type State, canonical, keyOfOperator } from './state.ts';
import { newTask } from './task.ts';
import type { Elapsed } from './time.ts';
import { createWorks, told } from './works.ts';

/** What happened, where it led, and what it broke. */
export interface Step {
  label: string;
  /** It happens some time, if nothing else does: progress must not depend on the others. */
  fair: boolean;
  state: State;
  broken: readonly string[];
}

export function createModel(configuration: Configuration, product: Product): Model {
  const advances = createAdvances(product);
  const looks = createLooks(product, advances);
  return { configuration, product, works: createWorks(product.protocols), advances, looks };
}

const FOREIGN = intern({
  kind: 'Secret',
  metadata: { name: 'solution', namespace: 'default', uid: 'foreign', resourceVersion: '1', creationTimestamp: '' },
  data: { value: 'Zm9yZWlnbg==' },
});

export function initialState({ configuration, product }: Model): State {
  const task = intern(newTask(configuration, 1));
  const operators: Operator[] = [];
  for (let count = 0; count < configuration.operators; count += 1) {
    const holder = configuration.journal === undefined ? undefined : `~h${count + 1}`;
    operators.push(bootedOperator(product, task, { leads: true, holder }));
  }
  return canonical({
    task,
    secret: configuration.secret === 'foreign' ? FOREIGN : undefined,
    letters: [],
    journal: undefined,
    lagging: task,
    operators,
    orphans: [],
    jobs: [],
    received: [],
    flight: undefined,
    deeds: 0,
    rivals: 0,
  });
}

/** All steps from here, in a fixed order. */
export function stepsFrom(model: Model, state: State, spell = canonical): Step[] {
  const drafts: Draft[] = [];
  state.operators.forEach((operator, index) => {
    const here: Here = { model, state, operator, index };
    for (const steps of OPERATOR_STEPS) steps(here, drafts);
  });
  orphanSteps(state, drafts);
  flightStep(model, state, drafts);
  callbackSteps(model, state, drafts);
  peopleSteps(model, state, drafts);
  return drafts.map(({ label, unfair, state: next, broken: fault }) => {
    const after = spell(next);
    const faults = broken(model.configuration, state, after);
    return {
      label,
      fair: unfair !== true,
      state: after,
      broken: fault === undefined ? faults : [...faults, fault],
    };
  });
}

const OPERATOR_STEPS: readonly ((here: Here, drafts: Draft[]) => void)[] = [
  lookSteps,
  workSteps,
  callSteps,
  letterSteps,
  journalSteps,
  watchStep,
  crashStep,
  leadStep,
];

/** Looks that come to the same are one step. */
function lookSteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  if (operator.work !== undefined || operator.cache === undefined) return;
  const seen = new Set<string>();
  for (const view of viewsOf(here)) {
    const { operator: looked, rules } = model.looks(operator, view, state.task);
    const next = pumped(model.product, looked, { newest: state.task });
    const key = keyOfOperator(next);
    if (seen.has(key) || (rules.length === 0 && next.memory === operator.memory)) continue;
    seen.add(key);
    const when = view.elapsed === 'nothing' ? '' : `, ${view.elapsed} over`;
    drafts.push({ label: `${nameOf(here)} looks${when}: ${rules.join('; ')}`, state: withOperator(here, next) });
  }
}

/** The cache of letters may or may not show one by now. */
function viewsOf(here: Here): View[] {
  const { pingback = true, crowds } = here.model.configuration;
  const mark = here.operator.cache?.value.status?.deadLetter?.name;
  const letter = here.state.letters.find(({ value }) => value.metadata.name === mark)?.value;
  const letters = letter === undefined ? (['absent'] as const) : ([phaseOf(letter), 'absent'] as const);
  const crowded = crowds === true ? [false, true] : [false];
  return looksOf(here).flatMap((elapsed) =>
    letters.flatMap((view) => crowded.map((is) => ({ elapsed, letter: view, pingback, crowded: is }))),
  );
}

/**
 * How late it may be. Where nothing is late no grace is over while anything is still to come; and nowhere is a mark given
 * up (after two minutes) while a delivery (of ten seconds at most) is about to create its letter.
 */
function looksOf({ model, state, operator }: Here): readonly Elapsed[] {
  const { looks, timely } = model.configuration;
  const mark = operator.cache?.value.status?.deadLetter;
  const waits = (timely === true && isPending(state)) || (mark !== undefined && !mark.confirmed && isDelivering(state));
  return waits ? looks.filter((elapsed) => elapsed === 'nothing' || elapsed === 'the fence') : looks;
}

function isPending({ operators, flight, received }: State): boolean {
  if (flight !== undefined || received.length > 0) return true;
  return operators.some(
    ({ work, calls, memory: { value } }) =>
      work !== undefined || calls.length > 0 || value.reply !== undefined || value.intent?.call === 'notSent',
  );
}

function isDelivering({ operators, received }: State): boolean {
  return received.some(({ work }) => work !== undefined) || operators.some(({ work }) => work?.name === 'deliver');
}

/** One request of the step that is under way: answered, or its reply lost. */
function workSteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  const { work } = operator;
  if (work === undefined) return;
  const { request } = model.advances(operator, work, state.task);
  if (request === undefined) return;
  for (const { reply, objects, label, unfair, broken, flight } of requestOutcomes(model, state, request)) {
    const next = told(work, reply);
    const { operator: after, request: another } = model.advances(operator, next, objects.task);
    drafts.push({
      label: `${nameOf(here)} ${label}`,
      ...(unfair ? { unfair } : {}),
      broken,
      state: withOperator(
        here,
        { ...after, work: another === undefined ? undefined : next },
        { ...objects, ...flying(flight) },
      ),
    });
  }
}

/** The watch catches up. */
function watchStep(here: Here, drafts: Draft[]): void {
  const { state, operator } = here;
  const next = withCopy(operator, state.task);
  if (next.cache === operator.cache) return;
  drafts.push({ label: `${nameOf(here)} sees the task by its watch`, state: withOperator(here, next) });
}

function crashStep(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  if (!model.configuration.crashes) return;
  const holder = operator.room === undefined ? undefined : '~h9';
  const next = bootedOperator(model.product, state.task, { leads: operator.leads, holder });
  const left = operator.calls.filter(({ value }) => value.kind === 'submit' && value.stage === 'sent');
  const orphans = [...state.orphans, ...left].sort((one, other) => one.core - other.core);
  drafts.push({
    label: `${nameOf(here)} is killed and starts again`,
    unfair: true,
    state: withOperator(here, next, { orphans }),
  });
}

function leadStep(here: Here, drafts: Draft[]): void {
  const { operator, model } = here;
  if (!model.configuration.leadChanges) return;
  // A take-over that a lead began is ended before the next lead begins one.
  if (!operator.leads && operator.writer?.name === 'takeOver') return;
  const label = operator.leads ? `${nameOf(here)} does not lead any more` : `${nameOf(here)} leads`;
  const state = withOperator(here, operator.leads ? withoutLead(here, operator) : { ...operator, leads: true });
  drafts.push(operator.leads ? { label, unfair: true, state } : { label, state });
}

function flightStep({ product }: Model, state: State, drafts: Draft[]): void {
  if (state.flight === undefined) return;
  const { objects, reply, broken } = serve(state, state.flight, undefined, { unchecked: product.unchecked });
  const came = reply.value.ok ? '' : ` and is refused (${reply.value.status})`;
  const label = `the delayed write arrives${came}`;
  drafts.push({ label, state: { ...state, ...objects, flight: undefined }, broken });
}
