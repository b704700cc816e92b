/** A person deletes the journal, empties it, or applies an old copy; and the API server does not take its writes. */
import type { Cell } from '../cell.ts';
import { calls, enters } from '../requests.ts';
import { expectConflict, type Point, type Row } from './point.ts';

async function deleteJournal({ ground: { admin }, journalPath }: Cell): Promise<void> {
  await admin.delete(journalPath);
}

async function writeEntries({ ground: { admin }, journalPath }: Cell, entries: string): Promise<void> {
  await admin.patch(journalPath, { data: { entries } }, 'merge');
}

/** While a call is under way the journal is torn; its holder restores it before it starts another, and dies. */
function tornDuringCall(name: string, how: string, tear: (cell: Cell) => Promise<void>): Point {
  return {
    name: `13: ${how} while a call is under way`,
    async run(cell) {
      await cell.prime();
      const reply = cell.life.provider.stop('after', calls(cell.page(name)));
      await cell.apply(name, { paid: 2, unknown: 1 });
      await reply;
      await tear(cell);
      const restored = cell.life.api.pass(enters(name, `beside-${name}`));
      const next = cell.life.provider.stop('before', calls(cell.page(`beside-${name}`)));
      await cell.apply(`beside-${name}`, { paid: 1, unknown: 1, attempts: 2 });
      await Promise.all([restored, next]);
      await cell.succeed();
    },
  };
}

/** The write of a new entry is answered so, and not made. */
function answered(status: number): Point {
  return {
    name: `14: a journal write is answered ${status}`,
    async run(cell) {
      const name = `answered-${status}`;
      const writing = cell.life.api.stop('before', enters(name));
      const again = writing.then(() => cell.life.api.pass(enters(name)));
      await cell.apply(name, { paid: 1 });
      (await writing).answer(status);
      await again;
    },
  };
}

export const HANDS: Row = [
  {
    name: '13: the journal is deleted while nothing is under way',
    async run(cell) {
      await cell.prime();
      await deleteJournal(cell);
      await cell.prime();
    },
  },
  tornDuringCall('deleted', 'the journal is deleted', deleteJournal),
  tornDuringCall('emptied', 'the journal is emptied', (cell) => writeEntries(cell, '')),
  {
    name: '13: an old copy of the journal is applied',
    async run(cell) {
      await cell.prime();
      const reply = cell.life.provider.stop('after', calls(cell.page('copied')));
      await cell.apply('copied', { paid: 1 });
      const unread = await reply;
      const copy = await cell.journal();
      await unread.release();
      await cell.until('copied', 'is solved', ({ status }) => status?.phase === 'Solved');
      await writeEntries(cell, `${copy?.join('\n')}\n`);
      await cell.prime();
    },
  },
  {
    name: '13: the journal is deleted and its holder dies: the loss that the documentation states',
    async run(cell) {
      const reply = cell.life.provider.stop('after', calls(cell.page('lost')));
      await cell.apply('lost', { paid: 2, attempts: 1 });
      await reply;
      await deleteJournal(cell);
      await cell.succeed();
      await cell.prime();
    },
  },
  ...[403, 413, 429, 500].map(answered),
  {
    name: '14: a journal write meets a label that somebody set',
    async run(cell) {
      const writing = cell.life.api.stop('before', enters('labelled'));
      await cell.apply('labelled', { paid: 1 });
      const write = await writing;
      await cell.ground.admin.patch(cell.journalPath, { metadata: { labels: { theirs: 'yes' } } }, 'merge');
      await expectConflict('a journal write after a label was set', write.release());
    },
  },
  {
    name: '14: a journal write is not answered in time, and arrives after the next',
    async run(cell) {
      const writing = cell.life.api.stop('before', enters('in-time'));
      await cell.apply('in-time', { paid: 1 });
      const write = await writing;
      await cell.life.api.pass(enters('in-time'));
      await expectConflict('a journal write that was given up', write.release());
    },
  },
];
