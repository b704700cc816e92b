/**
 * The intent journal in a random history: the product's own state and protocols, with the single writer of each operator
 * as one more piece of work that may be killed between any two requests. Time plays no part: whatever the shell does at
 * once or after ten seconds happens here whenever the writer has its turn.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { Entry } from '../../../src/core/journal/entry.ts';
import type { Settled } from '../../../src/core/journal/journal.ts';
import type { Protocol } from '../../../src/core/protocol.ts';
import type { Operator, World } from './world.ts';
import { CAPTCHA_TASK } from '../../../src/api/names.ts';
import { isShown } from '../../../src/core/journal/overlay.ts';
import * as journals from '../../../src/core/journal/journal.ts';
import { settleEntry, takeOver, writeJournal } from '../../../src/core/journal/protocols.ts';
import { entryDropped, entrySent, entrySettled } from '../../../src/core/task/memory.ts';
import { TASK, note, observe } from './world.ts';

export const PLACE = { namespace: 'captcha-system', name: 'captcha-operator-journal' };

/** Whose Lease it is not any more gives up what it has not sent. */
export function loseLead(operator: Operator): void {
  operator.acts = false;
  tell(operator, { ...journals.NOTHING_SETTLED, refused: journals.withdraw(operator.journal) });
}

/** One round of the writer: it takes the journal over, or sees entries out and writes what has gathered. */
export function* journalPass(world: World): Protocol<void> {
  const { operator } = world;
  const { journal } = operator;
  if (operator.leads && !operator.acts && journal.writing === undefined) yield* beginToAct(world, operator);
  else if (journal.held) yield* writeRound(world, operator);
}

function* beginToAct(world: World, operator: Operator): Protocol<void> {
  const end = yield* takeOver(operator.journal, PLACE);
  if (end.kind !== 'held') return;
  note(world, `operator ${operator.boot} holds the journal: ${operator.journal.entries.size} entries`);
  tell(operator, end);
  if (world.skips !== 'list') {
    const selected = { namespace: 'default', fieldSelector: `metadata.name=${TASK}` };
    const reply = yield { verb: 'list', resource: CAPTCHA_TASK, ...selected };
    if (!reply.ok) return;
    const { items, metadata } = reply.object as { items: CaptchaTask[]; metadata: { resourceVersion: string } };
    observe(operator, items[0], Number(metadata.resourceVersion));
  }
  operator.acts = operator.leads && operator.journal.held;
}

function* writeRound(world: World, operator: Operator): Protocol<void> {
  const { journal } = operator;
  yield* letGoShown(operator);
  const batch = journal.writing ?? journals.beginWrite(journal) ?? journals.beginLook(journal);
  if (batch === undefined) return;
  if (!batch.inDoubt) tellSent(operator, batch, world.mono);
  const end = yield* writeJournal(journal, batch, PLACE);
  note(world, `operator ${operator.boot}: the journal is ${end.kind}`);
  if (end.kind === 'unavailable') return;
  tell(operator, end);
  if (end.kind === 'lost') operator.acts = false;
}

function* letGoShown(operator: Operator): Protocol<void> {
  const { journal } = operator;
  for (const entry of journal.entries.values()) {
    if (journal.leaving.has(entry.by) || journal.dropped.has(entry.by)) continue;
    if (yield* mayGo(operator, entry)) journals.letGo(journal, entry.by);
  }
}

function tellSent(operator: Operator, { added, left }: journals.Batch, mono: number): void {
  for (const { by } of added) change(operator, (memory) => entrySent(memory, by, mono));
  for (const by of left) {
    const rest = operator.rests.get(by);
    if (rest !== undefined) change(operator, (memory) => entryDropped(memory, by, rest));
    operator.rests.delete(by);
  }
}

function* mayGo(operator: Operator, entry: Entry): Protocol<boolean> {
  const { task } = operator;
  if (task?.metadata.uid === entry.uid) return isShown(task, entry);
  if (!operator.acts) return false;
  const end = yield* settleEntry(entry);
  if (end.kind === 'gone') operator.gone.add(entry.uid);
  if (end.kind === 'shown') observe(operator, end.task);
  return end.kind !== 'later';
}

function tell(operator: Operator, { rights, refused }: Settled): void {
  for (const { by } of rights) change(operator, (memory) => entrySettled(memory, by, true));
  for (const { by } of refused) change(operator, (memory) => entrySettled(memory, by, false));
}

function change(operator: Operator, by: (memory: Operator['memory']) => Operator['memory']): void {
  operator.memory = by(operator.memory);
}
