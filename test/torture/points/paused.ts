/**
 * A leader that is paused (SIGSTOP), with one task before its call, one in it and one right after it, while another
 * takes over; it runs again when the other has gone so far, and what it had sent may arrive only then.
 */
import type { Cell, Life } from '../cell.ts';
import { setTimeout as delay } from 'node:timers/promises';
import type { Place } from '../checkpoint.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { calls, enters, fails, records, shows, submitsAgain, writesJournal } from '../requests.ts';
import { expectConflict, type Point, type Row } from './point.ts';

/** How far the successor is when the other runs again. */
type Reached = 'taken over' | 'put it into status' | 'called again' | 'finished the task';

export interface Pause {
  /** Where the journal write of the first task is: on its way, or answered and unread. */
  journal: Place;
  until: Reached;
  /** At least so long. */
  seconds?: number;
}

const LOST_JOURNAL = 'Another process holds the journal; nothing is started any more';
/** So long a right to a call lasts. */
const FENCE_SECONDS = 5;

export function pausePoint(pause: Pause): Point {
  const { journal, until, seconds } = pause;
  const where = journal === 'before' ? 'its journal write on the way' : 'the answer to its journal write unread';
  const atLeast = seconds === undefined ? '' : `, for ${seconds} s`;
  return {
    name: `9${journal === 'before' ? ', 10' : ''}: paused with ${where}, until another has ${until}${atLeast}`,
    run: (cell) => runPaused(cell, pause),
  };
}

let rounds = 0;

async function runPaused(cell: Cell, { journal, until, seconds = 0 }: Pause): Promise<void> {
  await cell.settle();
  await cell.prime();
  const round = ++rounds;
  const [entering, calling, replied, nudge] = ['entering', 'calling', 'replied', 'nudge'].map(
    (one) => `${one}-${round}`,
  );
  const old = cell.life;
  const replies = [calling!, replied!].map((name) => old.provider.stop('after', calls(cell.page(name))));
  for (const name of [calling!, replied!]) await cell.apply(name, { paid: 'counted' });
  const [duringCall, afterCall] = await Promise.all(replies);
  const writing = old.api.stop(journal, enters(entering!));
  await cell.apply(entering!, journal === 'before' ? { paid: 1 } : { paid: 'counted' });
  const written = await writing;
  old.pause();
  void afterCall!.release();
  if (journal === 'after') void written.release();
  await Promise.all([takeOver(cell, calling!, until), delay(seconds * 1_000)]);
  await cell.apply(nudge!, { paid: 1 });
  old.resume();
  if (journal === 'before') await expectConflict('a journal write after the take-over', written.release());
  void duringCall!.release();
  await old.line('it to learn that another holds the journal', ({ msg }) => msg === LOST_JOURNAL);
  const code = await old.end();
  if (code !== 0) throw new Error(`the paused one ended with ${code}`);
  const late = seconds > FENCE_SECONDS || journal === 'before';
  if (late && old.provider.count(calls(cell.page(entering!))) > 0)
    throw new Error('it called by a right that was over');
}

async function takeOver(cell: Cell, name: string, until: Reached): Promise<void> {
  const life = await cell.prepare();
  const taken = life.api.pass(writesJournal);
  const shown = life.api.pass(shows(name));
  const called = life.provider.pass(calls(cell.page(name)));
  life.start();
  cell.life = life;
  await taken;
  if (until === 'put it into status') await shown;
  if (until === 'called again') await called;
  if (until === 'finished the task') await cell.until(name, 'is solved', ({ status }) => status?.phase === 'Solved');
}

/** Tasks whose calls were accepted, with the replies unread and their leader paused; and the successor, about to begin. */
async function pauseInCalls(cell: Cell, names: readonly string[]) {
  await cell.settle();
  await cell.prime();
  const old = cell.life;
  const replies = names.map((name) => old.provider.stop('after', calls(cell.page(name))));
  for (const name of names) await cell.apply(name, { paid: 'counted' });
  const unread = await Promise.all(replies);
  old.pause();
  const next = await cell.prepare();
  return { old, unread, next };
}

/** The old one runs again and learns that it leads no more. */
async function wake(cell: Cell, old: Life, nudge: string): Promise<void> {
  await cell.apply(nudge, { paid: 1 });
  old.resume();
  await old.line('it to learn that another holds the journal', ({ msg }) => msg === LOST_JOURNAL);
}

export const LATE: Row = [
  {
    name: '10: a journal write that arrives after the next one of the same leader',
    async run(cell) {
      const first = cell.life.api.stop('before', enters('written-twice'));
      await cell.apply('written-twice', { paid: 1 });
      const late = await first;
      const second = cell.life.api.pass(enters('written-twice'));
      late.cut();
      await second;
      await expectConflict('a journal write after the next', late.release());
    },
  },
  {
    name: '10: an id that is written after its entry was put into status, after the grace, and after the end',
    async run(cell) {
      const names = ['id-shown', 'id-grace', 'id-end'] as const;
      const { old, unread, next } = await pauseInCalls(cell, names);
      const showing = names.map((name) => next.api.stop('before', shows(name)));
      const again = next.api.pass(submitsAgain('id-grace'));
      next.start();
      cell.life = next;
      const shown = await Promise.all(showing);
      await wake(cell, old, 'nudge-late-id');
      const recording = names.map((name) => old.api.stop('before', records(name)));
      for (const one of unread) void one.release();
      const [atShown, atGrace, atEnd] = await Promise.all(recording);
      for (const one of shown) await one.release();
      await expectConflict('the id after its entry', atShown!.release());
      await again;
      await expectConflict('the id after the grace', atGrace!.release());
      await cell.until('id-end', 'is solved', ({ status }) => status?.phase === 'Solved');
      await expectConflict('the id after the end', atEnd!.release());
      await old.end();
    },
  },
  {
    name: '10: a deadline that a leader of earlier writes for a task which its successor has submitted',
    async run(cell) {
      await cell.settle();
      const old = cell.life;
      // All but begun: it has to be there long before the deadline.
      const next = await cell.prepare();
      const taking = next.api.stop('before', writesJournal);
      next.start();
      const takeOver = await taking;
      const spec = {
        activeDeadlineSeconds: DEADLINE_SECONDS,
        apiKeySecretRef: { name: 'comes-later', key: 'api-key' },
      };
      await cell.apply('overdue', { paid: 1, reason: 'DeadlineExceeded' }, { spec });
      const { status } = await cell.until('overdue', 'waits', ({ status: seen }) => seen?.startTime !== undefined);
      old.pause();
      await createKey(cell, 'comes-later');
      const reply = next.provider.stop('after', calls(cell.page('overdue')));
      void takeOver.release();
      cell.life = next;
      const unread = await reply;
      const overdueMs = Date.parse(status?.startTime ?? '') + DEADLINE_SECONDS * 1_000;
      await waitUntil('the deadline to pass', () => Date.now() > overdueMs);
      const failing = old.api.pass(fails('overdue'));
      old.resume();
      await failing;
      await unread.release();
      await old.kill();
    },
  },
];

/** Shorter than a call may last. */
const DEADLINE_SECONDS = 12;

async function createKey(cell: Cell, name: string): Promise<void> {
  const value = { kind: 'Secret', metadata: { name }, stringData: { 'api-key': 'later0key0later0key0later0key000' } };
  await cell.ground.admin.create(`/api/v1/namespaces/${cell.namespace}/secrets`, value);
}

export const PAUSED: Row = [
  pausePoint({ journal: 'before', until: 'taken over' }),
  pausePoint({ journal: 'after', until: 'put it into status' }),
  pausePoint({ journal: 'before', until: 'called again' }),
  pausePoint({ journal: 'after', until: 'finished the task', seconds: 6 }),
];
