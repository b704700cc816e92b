/** Dead letters: an operator retries them by the product's rules and protocol, beside its work on the task. */
import { phaseOf, withoutPayload } from '../../src/core/deadletter/facts.ts';
import { type Draft, type Here, flying, nameOf, withOperator } from './draft.ts';
import { LETTER_POLICY } from './product.ts';
import { protocolOutcomes } from './requests.ts';
import { NOW } from './time.ts';
import { begun } from './works.ts';

const HOUR_MS = 3_600_000;

export function letterSteps(here: Here, drafts: Draft[]): void {
  const { operator } = here;
  if (operator.retry === undefined) beginRetries(here, drafts);
  else retrySteps(here, drafts);
}

function beginRetries(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  const exists = state.letters.map(({ value }) => value.metadata.name);
  for (const { value } of state.letters) {
    if (phaseOf(value) !== 'Pending') continue;
    // What a letter says of itself before its first retry holds nobody and nothing: left out.
    const status = value.status ?? { phase: 'Pending', attempts: 0 };
    const facts = { letter: { ...withoutPayload(value), status }, mayAct: operator.leads, taskBusy: false };
    const { effect } = model.product.decideLetter(facts, NOW + HOUR_MS, LETTER_POLICY);
    if (effect?.kind !== 'retry') continue;
    const { namespace, name, uid } = value.metadata;
    const retry = begun('retryLetter', { namespace, name, uid, exists });
    drafts.push({ label: `${nameOf(here)} retries a letter`, state: withOperator(here, { ...operator, retry }) });
  }
}

function retrySteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  if (operator.retry === undefined) return;
  for (const { next, objects, label, unfair, broken, flight } of protocolOutcomes(model, state, operator.retry)) {
    const after = { ...operator, retry: next.ended ? undefined : next.work };
    drafts.push({
      label: `${nameOf(here)}, retrying a letter, ${label}`,
      ...(unfair ? { unfair } : {}),
      broken,
      state: withOperator(here, after, { ...objects, ...flying(flight) }),
    });
  }
}
