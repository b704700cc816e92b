/** A leader that dies between an intent and its id, or on the way back from a refusal to the next try. */
import type { LogLine } from '../../../dev/child.ts';
import type { Script } from '../../../dev/simulator/script.ts';
import { type Cell, type End, LOST } from '../cell.ts';
import type { Matches, Place, Stopped } from '../checkpoint.ts';
import { calls, either, enters, entersAnew, identifies, leavesOut, records, writesJournal } from '../requests.ts';
import type { Row } from './point.ts';

/** Refused as a whole, and accepted when it is tried again. */
const REFUSED: Script = { ...LOST, submit: [{ fault: 'http503' }, { accept: true }] };

/** Applies a task whose first call is refused. Resolves while the operator has not read that, with how its next entry is known. */
async function refuseOnce(cell: Cell, name: string, end: End): Promise<{ refused: Stopped; isAnew: Matches }> {
  await cell.settle();
  const entered = cell.life.api.pass(enters(name));
  const refusing = cell.life.provider.stop('after', calls(cell.page(name)));
  await cell.apply(name, end, { script: REFUSED });
  const isAnew = entersAnew(name, await entered);
  return { refused: await refusing, isAnew };
}

/** Dies at the write that drops the entry of a refused submission. */
async function dieAtDrop(cell: Cell, name: string, place: Place): Promise<void> {
  const end = place === 'before' ? { paid: 1, unknown: 1, attempts: 2 } : { paid: 1 };
  const { refused } = await refuseOnce(cell, name, end);
  const drop = cell.life.api.stop(place, leavesOut(name));
  await refused.release();
  await drop;
  await cell.succeed();
}

const WAITS = 'an entry of the journal is waited for until its write is answered';

/** The drop fails, and the task is tried again meanwhile: one write drops its old entry and brings the new one. */
async function dieAtReplacement(cell: Cell, name: string, place: Place): Promise<void> {
  await cell.settle();
  await cell.succeed(undefined, { LOG_LEVEL: 'debug' });
  const { refused, isAnew } = await refuseOnce(cell, name, { paid: 1, unknown: 1, attempts: 2 });
  const drop = cell.life.api.stop('before', leavesOut(name));
  await refused.release();
  const dropping = await drop;
  let tries = 0;
  const isNext = (line: LogLine): boolean => line['rule'] === WAITS && line['name'] === name && ++tries === 2;
  await cell.life.line('the next try', isNext);
  const next = cell.life.api.stop(place, writesJournal);
  dropping.answer(500);
  const { seen } = await next;
  if (!isAnew(seen)) throw new Error('the drop went alone');
  await cell.succeed();
}

export const SUBMISSION: Row = [
  {
    name: '2, 3: before in.php has the call; sent and never there; there after the successor began; its reply read',
    async run(cell) {
      await cell.prime();
      const { life } = cell;
      const sent = life.provider.stop('before', calls(cell.page('never-there')));
      const late = life.provider.stop('before', calls(cell.page('late')));
      const told = life.provider.stop('after', calls(cell.page('told')));
      const read = life.api.stop('before', either(identifies('read'), records('read')));
      await cell.apply('never-there', { paid: 1, unknown: 1, attempts: 2 });
      await cell.apply('late', { paid: 2, unknown: 1 });
      await cell.apply('told', { paid: 1 }, { script: { tasks: [{ pingbacks: [{ onCommand: true }] }] } });
      await Promise.all([sent, late, told]);
      await cell.apply('read', { paid: 2, unknown: 1 });
      await read;
      const successor = await cell.prepare();
      const again = successor.provider.stop('before', calls(cell.page('late')));
      await cell.succeed(successor);
      // A callback comes into the middle of it, and tells the id.
      const [submission] = await cell.submissions('told');
      await cell.ground.simulator.control.pingback({ id: submission?.id ?? '' });
      const calledAgain = await again;
      await (await late).release();
      await calledAgain.release();
    },
  },
  {
    name: '2: between the calls of two entries of one write',
    async run(cell) {
      const names = ['batch-a', 'batch-b', 'batch-c'];
      const pages = either(...names.map((name) => calls(cell.page(name))));
      await cell.settle();
      await cell.life.kill();
      for (const name of names) await cell.apply(name, { paid: 'counted' });
      const life = await cell.prepare();
      // A key that was never accepted is tried with one call; then the two others have their turn together.
      const first = life.provider.pass(pages);
      await cell.succeed(life);
      await first;
      await Promise.all([life.provider.stop('before', pages), life.provider.stop('after', pages)]);
      const pairs = names.map((name) => enters(...names.filter((other) => other !== name)));
      if (life.api.count(either(...pairs)) === 0) throw new Error('the two entries were not in one write');
      await cell.succeed();
    },
  },
  { name: '6, 5: a refusal is read, and its entry not dropped', run: (cell) => dieAtDrop(cell, 'refused', 'before') },
  {
    name: '6/u, 5/u: the entry is dropped, and that reply unread',
    run: (cell) => dieAtDrop(cell, 'refused-u', 'after'),
  },
  {
    name: '6: between the drop and the next try',
    async run(cell) {
      const { refused, isAnew } = await refuseOnce(cell, 'dropped', { paid: 1 });
      const next = cell.life.api.stop('before', isAnew);
      await refused.release();
      await next;
      await cell.succeed();
    },
  },
  {
    name: '5: before a write that drops an entry and brings the next of the same task',
    run: (cell) => dieAtReplacement(cell, 'replaced', 'before'),
  },
  {
    name: '5/u: that write is made, and its reply unread',
    run: (cell) => dieAtReplacement(cell, 'replaced-u', 'after'),
  },
];
