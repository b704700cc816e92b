/** A leader that ends by SIGTERM, and is killed between two steps of its end. */
import type { Cell, End } from '../cell.ts';
import type { Matches, Place, Stopped } from '../checkpoint.ts';
import { calls, either, enters, identifies, leavesOut, records, releasesLease } from '../requests.ts';
import type { Row } from './point.ts';

/** Asks the leader to end, with the reply of this task's call unread. */
async function endDuringCall(cell: Cell, name: string, end: End): Promise<Stopped> {
  await cell.settle();
  await cell.prime();
  const reply = cell.life.provider.stop('after', calls(cell.page(name)));
  await cell.apply(name, end);
  const unread = await reply;
  await askToEnd(cell);
  return unread;
}

async function askToEnd({ life }: Cell): Promise<void> {
  life.askToEnd();
  await life.line('its end to begin', ({ msg }) => msg === 'stopping');
}

/** It ends with an entry that it has not used, and is killed where it drops that. */
async function dieAtUnused(cell: Cell, name: string, place: Place): Promise<void> {
  await cell.settle();
  await cell.prime();
  const { api } = cell.life;
  const entered = api.stop('after', enters(name));
  await cell.apply(name, place === 'before' ? { paid: 1, unknown: 1, attempts: 2 } : { paid: 1 });
  const unread = await entered;
  await askToEnd(cell);
  const drop = api.stop(place, leavesOut(name));
  await unread.release();
  await drop;
  await cell.succeed();
}

/** It ends, reads its last reply, and is killed at this request. */
async function dieAfterReply(cell: Cell, name: string, how: { end: End; place: Place; at: Matches }): Promise<void> {
  const unread = await endDuringCall(cell, name, how.end);
  const stopped = cell.life.api.stop(how.place, how.at);
  await unread.release();
  await stopped;
  await cell.succeed();
}

const id = (name: string): Matches => either(identifies(name), records(name));

export const STOP: Row = [
  { name: '8: before the unused entry is dropped', run: (cell) => dieAtUnused(cell, 'unused', 'before') },
  {
    name: '8/u: the unused entry is dropped, and that reply unread',
    run: (cell) => dieAtUnused(cell, 'unused-u', 'after'),
  },
  {
    name: '8: before the last reply is read',
    async run(cell) {
      await endDuringCall(cell, 'unread', { paid: 2, unknown: 1 });
      await cell.succeed();
    },
  },
  {
    name: '8: the last reply is read, and its id not durable',
    run: (cell) => dieAfterReply(cell, 'last', { end: { paid: 2, unknown: 1 }, place: 'before', at: id('last') }),
  },
  {
    name: '8/u: its id is durable, and that reply unread',
    run: (cell) => dieAfterReply(cell, 'last-u', { end: { paid: 1 }, place: 'after', at: id('last-u') }),
  },
  {
    name: '8: every entry is in status, before the journal is emptied',
    run: (cell) => dieAfterReply(cell, 'left', { end: { paid: 1 }, place: 'before', at: leavesOut('left') }),
  },
  {
    name: '8/u: the journal is emptied, and that reply unread',
    run: (cell) => dieAfterReply(cell, 'left-u', { end: { paid: 1 }, place: 'after', at: leavesOut('left-u') }),
  },
  {
    name: '8: before the Lease is released',
    async run(cell) {
      await cell.settle();
      await cell.succeed(undefined, { LEADER_ELECTION: 'true' });
      await dieAfterReply(cell, 'lease', { end: { paid: 1 }, place: 'before', at: releasesLease });
    },
  },
  {
    name: '8: not killed at all, it leaves an empty journal and status that says everything',
    async run(cell) {
      const unread = await endDuringCall(cell, 'ended', { paid: 1 });
      await unread.release();
      const code = await cell.life.end();
      const left = await cell.journal();
      const { status } = await cell.task('ended');
      if (code !== 0 || left?.length !== 0 || status?.phase !== 'Submitted') {
        throw new Error(`it ended with ${code}, ${JSON.stringify(left)} and ${JSON.stringify(status)}`);
      }
      await cell.succeed();
    },
  },
];
