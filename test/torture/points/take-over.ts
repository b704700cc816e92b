/**
 * A leader that dies while it takes over, puts what it inherited into status, or writes the journal; and the next one
 * as well, ten in a row. Two paid submissions, of which nobody knows the id, go through all of them.
 */
import type { Cell, Life } from '../cell.ts';
import type { Matches, Place } from '../checkpoint.ts';
import { calls, either, enters, every, leavesOut, lists, shows, submitsAgain, writesJournal } from '../requests.ts';
import type { Row } from './point.ts';

const BOTH = ['paid-a', 'paid-b'] as const;
const showsEither = either(...BOTH.map(shows));
/** The write that drops both, which status shows by then, and brings a new one. */
const replaces = every(enters('new'), ...BOTH.map(leavesOut));

/**
 * However slow it is until it is killed, it puts nothing into status but what is waited for, and submits neither of them
 * again: a second unknown would end them.
 */
async function prepare(cell: Cell): Promise<Life> {
  const life = await cell.prepare();
  life.api.bar(either(...BOTH.map(submitsAgain)));
  life.api.bar(showsEither);
  return life;
}

/** The next leader is killed at the first request that matches. */
async function dieAt(cell: Cell, place: Place, matches: Matches): Promise<void> {
  const life = await prepare(cell);
  const stopped = life.api.stop(place, matches);
  await cell.succeed(life);
  await stopped;
}

/** The next leader is killed at its list of the tasks, with the take-over answered. */
async function dieAtList(cell: Cell, place: Place): Promise<void> {
  const life = await cell.prepare();
  const taking = life.api.stop('after', writesJournal);
  await cell.succeed(life);
  const taken = await taking;
  const listing = life.api.stop(place, lists);
  await taken.release();
  await listing;
}

export const TAKE_OVER: Row = [
  {
    name: '3/u: in.php has accepted two submissions, and the replies are unread',
    async run(cell) {
      await cell.prime();
      const replies = BOTH.map((name) => cell.life.provider.stop('after', calls(cell.page(name))));
      for (const name of BOTH) await cell.apply(name, { paid: 2, unknown: 1 });
      await Promise.all(replies);
    },
  },
  { name: '1: before the take-over', run: (cell) => dieAt(cell, 'before', writesJournal) },
  { name: '1/u: the take-over is made, and its reply unread', run: (cell) => dieAt(cell, 'after', writesJournal) },
  { name: '1: after the take-over, before the list', run: (cell) => dieAtList(cell, 'before') },
  { name: '1: during the list', run: (cell) => dieAtList(cell, 'after') },
  { name: '1, 7: after the list, before anything is in status', run: (cell) => dieAt(cell, 'before', showsEither) },
  {
    name: '7: between two writes that put entries into status',
    async run(cell) {
      const life = await prepare(cell);
      const writes = [life.api.stop('before', showsEither), life.api.stop('after', showsEither)];
      await cell.succeed(life);
      await Promise.all(writes);
    },
  },
  { name: '7/u: an entry is put into status, and that reply unread', run: (cell) => dieAt(cell, 'after', showsEither) },
  {
    name: '7, 5, 2: both are in status; before the write that drops them and brings a new entry',
    async run(cell) {
      const life = await cell.prepare();
      life.api.bar(either(...BOTH.map(submitsAgain)));
      const write = life.api.stop('before', replaces);
      await cell.succeed(life);
      for (const name of BOTH) await cell.until(name, 'is in status', ({ status }) => status?.attempts === 1);
      // The successor writes it, and makes no call.
      await cell.apply('new', { paid: 1, unknown: 1, attempts: 2 });
      await write;
    },
  },
  {
    name: '5/u, 2/u: that write is made, and its reply unread',
    async run(cell) {
      const life = await cell.prepare();
      life.api.bar(either(...BOTH.map(submitsAgain)));
      const written = life.api.stop('after', replaces);
      await cell.succeed(life);
      await written;
      await cell.succeed();
    },
  },
];
