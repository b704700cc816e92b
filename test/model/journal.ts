/**
 * The intent journal: an operator takes it over, lists the tasks, writes it, sees entries out; it loses and wins the
 * lead. One request of its writer is a step; the work on the task goes on beside it.
 */
import type { EntrySettled } from '../../src/core/journal/protocols.ts';
import type { Entry } from '../../src/core/journal/entry.ts';
import * as journals from '../../src/core/journal/journal.ts';
import { type Draft, type Here, flying, nameOf, withOperator } from './draft.ts';
import { withCopy } from './operator.ts';
import { protocolOutcomes, requestOutcomes } from './requests.ts';
import { asked, atRoom, concluded, pumped, requested, roomOf, taking, told as toldOf, written } from './room.ts';
import { type Operator, keyOfOperator } from './state.ts';
import { told } from './works.ts';

export function journalSteps(here: Here, drafts: Draft[]): void {
  const { operator } = here;
  if (operator.room === undefined) return;
  if (operator.writer === undefined) beginSteps(here, drafts);
  else writerSteps(here, drafts);
  if (operator.asking !== undefined) askSteps(here, drafts);
}

function beginSteps(here: Here, drafts: Draft[]): void {
  const { model, operator, state } = here;
  const { product } = model;
  const who = nameOf(here);
  if (operator.leads && operator.stage === 'idle' && roomOf(operator).writing === undefined) {
    takeOverSteps(here, drafts);
    return;
  }
  if (operator.stage === 'unlisted') {
    const next: Operator = { ...withCopy(operator, state.task), stage: 'acting' };
    drafts.push({ label: `${who} has listed the tasks`, state: withOperator(here, next) });
  }
  const seen = new Set([keyOfOperator(operator)]);
  for (const plain of isAlone(here) ? [false, true] : [false]) {
    const next = pumped(product, operator, { newest: state.task, plain, looks: state.flight === undefined });
    if (seen.has(keyOfOperator(next))) continue;
    seen.add(keyOfOperator(next));
    drafts.push({
      label: `${who} sees to the entries of the journal${plain ? ', long after its take-over' : ''}`,
      state: withOperator(here, next),
    });
  }
}

/** It gives up at once what it held, and reads; nothing of interest lies between. */
function takeOverSteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator, index } = here;
  const { takeOvers } = model.configuration;
  const isRival = state.operators.some(
    ({ stage, writer }, at) => at !== index && (stage !== 'idle' || writer !== undefined),
  );
  const rivals = isRival && takeOvers !== undefined ? state.rivals + 1 : state.rivals;
  if (rivals > (takeOvers ?? 0)) return;
  const taken = taking(model.product, operator);
  writerSteps({ ...here, operator: taken, state: withOperator(here, taken, { rivals }) }, drafts);
}

/** Nothing of a leader of earlier is still to come: so it is a minute after the take-over. */
function isAlone({ state, index }: Here): boolean {
  const others = state.operators.filter((_, at) => at !== index);
  return (
    state.flight === undefined &&
    others.every(({ work, stage, asking }) => work === undefined && asking === undefined && stage !== 'acting')
  );
}

function writerSteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  const { product } = model;
  const { writer } = operator;
  if (writer === undefined) return;
  const request = requested(product, writer);
  for (const { reply, objects, label, unfair, broken, flight } of requestOutcomes(model, state, request)) {
    const next = told(writer, reply);
    const after = written(product, operator, next);
    const then =
      after.request === undefined
        ? concluded(product, after.operator, after.end, { newest: objects.task })
        : { ...after.operator, writer: next };
    drafts.push({
      label: `${nameOf(here)} ${label}`,
      ...(unfair ? { unfair } : {}),
      broken,
      state: withOperator(here, then, { ...objects, ...flying(flight) }),
    });
  }
}

function askSteps(here: Here, drafts: Draft[]): void {
  const { model, state, operator } = here;
  const { asking } = operator;
  if (asking === undefined) return;
  for (const { next, objects, label, unfair, broken, flight } of protocolOutcomes(model, state, asking)) {
    const { entry } = asking.args.value as { entry: Entry };
    const after = next.ended
      ? asked(operator, entry, next.verdict as EntrySettled, objects.task)
      : { ...operator, asking: next.work };
    drafts.push({
      label: `${nameOf(here)}, asking about an entry, ${label}`,
      ...(unfair ? { unfair } : {}),
      broken,
      state: withOperator(here, after, { ...objects, ...flying(flight) }),
    });
  }
}

/** Whoever does not lead any more gives up what was not sent. */
export function withoutLead({ model: { product } }: Here, operator: Operator): Operator {
  if (operator.room === undefined) return { ...operator, leads: false };
  let refused: readonly Entry[] = [];
  const after = atRoom(operator, (journal) => {
    refused = journals.withdraw(journal);
  });
  return { ...toldOf(product, after, { ...journals.NOTHING_SETTLED, refused }), leads: false, stage: 'idle' };
}
