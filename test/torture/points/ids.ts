/**
 * A leader that dies while an id is on its way into the journal, or from there into status. An id goes there where
 * status writes wait: so those of earlier tasks are held back until one does.
 */
import type { Script } from '../../../dev/simulator/script.ts';
import type { Cell, End } from '../cell.ts';
import type { Place, Stopped } from '../checkpoint.ts';
import { either, identifies, records } from '../requests.ts';
import type { Row } from './point.ts';

/** More than are ever written at once while others wait. */
const MOST = 8;

interface Named {
  name: string;
  /** The journal write with its id. */
  write: Stopped;
  /** Status writes of the others. */
  held: Stopped[];
}

/** Called back when its point says so; a second attempt at once. */
const ON_COMMAND: Script = { tasks: [{ pingbacks: [{ onCommand: true }] }, {}] };

/** Holds the writes of ids at this place, until one is a journal write. */
async function untilNamed(cell: Cell, prefix: string, { place, end }: { place: Place; end: End }): Promise<Named> {
  await cell.settle();
  await cell.prime();
  const held: Stopped[] = [];
  for (let index = 1; index <= MOST; index += 1) {
    const name = `${prefix}-${index}`;
    const writing = cell.life.api.stop(place, either(identifies(name), records(name)));
    // An id that is needed for a poll soon does not wait.
    await cell.apply(name, end, { spec: { callbackTimeoutSeconds: 120 }, script: ON_COMMAND });
    const write = await writing;
    if (identifies(name)(write.seen)) return { name, write, held };
    held.push(write);
  }
  throw new Error(`${MOST} ids were on their way into status at once, and none into the journal`);
}

/** The successor knows every id, and their callbacks come. */
async function callBack(cell: Cell, { name, held }: Named): Promise<void> {
  const names = [name, ...held.map((_, index) => name.replace(/\d+$/, String(index + 1)))];
  for (const one of names) {
    const { status } = await cell.until(
      one,
      'shows its id',
      (task) => task.status?.submission?.captchaID !== undefined,
    );
    // With a solution of its own: the solver may have none yet.
    const step = { code: `solution-of-${one}` };
    await cell.ground.simulator.control.pingback({ id: status?.submission?.captchaID ?? '', step });
  }
}

async function dieAtJournal(cell: Cell, place: Place): Promise<void> {
  // What the provider said is known to nobody, or to the journal and status.
  const end: End = place === 'before' ? { paid: 2, unknown: 1 } : { paid: 1 };
  const named = await untilNamed(cell, `named-${place}`, { place, end });
  await cell.succeed();
  if (place === 'after') await callBack(cell, named);
}

async function dieAtStatus(cell: Cell, place: Place): Promise<void> {
  const named = await untilNamed(cell, `late-${place}`, { place: 'after', end: { paid: 1 } });
  const showing = cell.life.api.stop(place, records(named.name));
  for (const one of [named.write, ...named.held]) void one.release();
  await showing;
  await cell.succeed();
  await callBack(cell, named);
}

export const IDS: Row = [
  { name: '4: before an id is in the journal', run: (cell) => dieAtJournal(cell, 'before') },
  { name: '4/u: the id is in the journal, and that reply unread', run: (cell) => dieAtJournal(cell, 'after') },
  { name: '4: before the late status that shows the id', run: (cell) => dieAtStatus(cell, 'before') },
  { name: '4/u: that status is written, and its reply unread', run: (cell) => dieAtStatus(cell, 'after') },
];
