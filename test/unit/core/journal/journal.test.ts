/** The single writer of the intent journal, against the model of the API: what is a right to a call, and what is none. */
import { beforeEach, describe, expect, test } from 'vitest';
import { CONFIG_MAP } from '../../../../src/api/names.ts';
import {
  type Entry,
  MAX_JOURNAL_BYTES,
  bytesOf,
  formatEntries,
  parseEntries,
} from '../../../../src/core/journal/entry.ts';
import {
  type Journal,
  LATE_LOOKS,
  beginLook,
  beginWrite,
  createJournal,
  enter,
  entryOf,
  fullness,
  isNaming,
  letGo,
  putID,
  roomFor,
  withdraw,
} from '../../../../src/core/journal/journal.ts';
import { type JournalWrite, takeOver, writeJournal } from '../../../../src/core/journal/protocols.ts';
import type { ApiReply, ApiRequest } from '../../../../src/core/protocol.ts';
import { anEntry } from '../../../support/entries.ts';
import { type ModelApi, createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';

const PLACE = { namespace: 'captcha-system', name: 'captcha-operator-journal' };
const A1 = anEntry();
const A2 = anEntry({ uid: 'second', name: 'second', by: 'operator-a/2' });
const A3 = anEntry({ uid: 'third', name: 'third', by: 'operator-a/3' });

let api: ModelApi;
let ours: Journal;
beforeEach(() => {
  api = createModelApi();
  ours = createJournal('operator-a');
  run(takeOver(ours, PLACE));
});

function run<Verdict>(protocol: Parameters<typeof runModel<Verdict>>[1]): Verdict {
  const verdict = runModel(api, protocol);
  if (verdict === 'died') throw new Error('not asked to die');
  return verdict;
}

function write(journal = ours): JournalWrite | undefined {
  const batch = journal.writing ?? beginWrite(journal);
  return batch && run(writeJournal(journal, batch, PLACE));
}

const stored = () => api.read(CONFIG_MAP.plural, PLACE.name)?.data ?? {};
const storedEntries = (): Entry[] => parseEntries(stored()['entries'] ?? '');
const storedNames = (): string[] => storedEntries().map(({ by }) => by);

/** The next write is acted on, or not, and its answer is lost. */
function loseReply(isActedOn: boolean): void {
  const fault = (request: ApiRequest): Extract<ApiReply, { ok: false }> | undefined => {
    if (request.verb !== 'replace') return undefined;
    api.faults = [];
    if (isActedOn) api.handle(request);
    return outage(true);
  };
  api.faults = [fault];
}

function takeOverBy(holder: string): Journal {
  const other = createJournal(holder);
  run(takeOver(other, PLACE));
  return other;
}

/** As a person applies it. */
function byHand(data: Record<string, string>): void {
  const object = api.read(CONFIG_MAP.plural, PLACE.name)!;
  api.seed(CONFIG_MAP.plural, { ...object, data: { ...object.data, ...data } });
}

describe('a write', () => {
  test('takes with it all that has gathered since the last one: entries and drops', () => {
    enter(ours, A1);
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', rights: [A1, A2], refused: [] });
    letGo(ours, A1.by);
    enter(ours, A3);
    expect(write()).toMatchObject({ kind: 'written', rights: [A3] });
    expect(storedNames()).toEqual([A2.by, A3.by]);
    expect(api.writes).toHaveLength(3);
  });

  test('is not made where there is nothing to write, or while another one is under way', () => {
    expect(beginWrite(ours)).toBeUndefined();
    enter(ours, A1);
    expect(beginWrite(ours)).toBeDefined();
    enter(ours, A2);
    expect(beginWrite(ours)).toBeUndefined();
  });

  test('replaces the entry of a task in the same write in which the last one leaves', () => {
    enter(ours, A1);
    write();
    letGo(ours, A1.by);
    const again = { ...A1, by: 'operator-a/9' };
    enter(ours, again);
    expect(write()).toMatchObject({ rights: [again] });
    expect(storedNames()).toEqual([again.by]);
  });

  test('whose reply was lost is a right where a read shows its entry', () => {
    enter(ours, A1);
    loseReply(true);
    expect(write()).toMatchObject({ kind: 'written', rights: [A1], refused: [] });
  });

  test('whose reply was lost is none where a read does not show it', () => {
    enter(ours, A1);
    loseReply(false);
    expect(write()).toMatchObject({ kind: 'written', rights: [], refused: [A1] });
    expect(entryOf(ours, A1.uid)).toBeUndefined();
  });

  test('that was long on its way brings no right: its entry is as good as somebody else’s', () => {
    enter(ours, A1);
    const batch = beginWrite(ours)!;
    const protocol = writeJournal(ours, batch, PLACE);
    const late = protocol.next().value as ApiRequest;
    protocol.next(outage(true));
    protocol.next(api.handle({ verb: 'get', resource: CONFIG_MAP, ...PLACE, read: 'quorum' }));
    api.handle(late);
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', rights: [], refused: [A2] });
    expect(entryOf(ours, A1.uid)).toEqual(A1);
  });

  test('that was given up is looked for once more where nothing else is written', () => {
    enter(ours, A1);
    loseReply(false);
    write();
    const look = (): JournalWrite => run(writeJournal(ours, beginLook(ours)!, PLACE));
    for (let time = 1; time < LATE_LOOKS; time += 1) look();
    byHand({ entries: formatEntries([A1]) });
    expect(look()).toMatchObject({ kind: 'written', rights: [], refused: [] });
    expect(entryOf(ours, A1.uid)).toEqual(A1);
    expect(beginLook(ours)).toBeUndefined();
  });

  test('nobody knows of stays in doubt until it can be read, and nothing is written before', () => {
    enter(ours, A1);
    api.faults = [() => outage(true)];
    expect(write()).toMatchObject({ kind: 'unavailable' });
    enter(ours, A2);
    expect(beginWrite(ours)).toBeUndefined();
    api.faults = [];
    expect(write()).toMatchObject({ rights: [], refused: [A1] });
    expect(write()).toMatchObject({ rights: [A2] });
  });

  test('that was given up is not looked for any more once another is made: it is too old', () => {
    enter(ours, A1);
    loseReply(false);
    write();
    enter(ours, A2);
    write();
    expect(beginLook(ours)).toBeUndefined();
  });

  test.each([403, 413, 429, 500])('that is refused with %i gives no right', (status) => {
    enter(ours, A1);
    api.faults = [(request) => (request.verb === 'replace' ? refusal(status, 'Refused') : undefined)];
    expect(write()).toMatchObject({ rights: [], refused: [A1] });
  });

  test('after another hand has set a label finds its entries as they were, and is made again', () => {
    enter(ours, A1);
    write();
    byHand({});
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', refused: [A2] });
    enter(ours, A2);
    expect(write()).toMatchObject({ rights: [A2] });
    expect(storedNames()).toEqual([A1.by, A2.by]);
  });
});

describe('an id', () => {
  const NAMED = { ...A1, captchaID: '7' };
  beforeEach(() => {
    enter(ours, A1);
    write();
    putID(ours, A1.by, '7');
  });

  test('goes with the next write, together with new entries', () => {
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', rights: [A2], recorded: [NAMED], unrecorded: [] });
    expect(storedEntries()).toEqual([NAMED, A2]);
    expect(entryOf(ours, A1.uid)).toEqual(NAMED);
  });

  test('is not in its entry, and on its way, until the write that brings it is answered', () => {
    expect(isNaming(ours, A1.by)).toBe(true);
    const batch = beginWrite(ours)!;
    expect(isNaming(ours, A1.by)).toBe(true);
    expect(entryOf(ours, A1.uid)).toEqual(A1);
    run(writeJournal(ours, batch, PLACE));
    expect(isNaming(ours, A1.by)).toBe(false);
  });

  test.each([true, false])('of a write whose reply was lost is where a read shows it (made: %s)', (isMade) => {
    loseReply(isMade);
    const [recorded, unrecorded] = isMade ? [[NAMED], []] : [[], [NAMED]];
    expect(write()).toMatchObject({ kind: 'written', recorded, unrecorded });
    expect(entryOf(ours, A1.uid)).toEqual(isMade ? NAMED : A1);
  });

  test('stays in the entry whatever else is written, and when the journal is taken over', () => {
    write();
    enter(ours, A2);
    write();
    expect(entryOf(takeOverBy('operator-b'), A1.uid)).toEqual(NAMED);
  });

  test('that was written when somebody else had the journal already belongs into status', () => {
    takeOverBy('operator-b');
    const batch = beginWrite(ours)!;
    putID(ours, A1.by, '7');
    expect(run(writeJournal(ours, batch, PLACE))).toMatchObject({ kind: 'lost', unrecorded: [NAMED] });
    expect(storedEntries()).toEqual([A1]);
    expect(isNaming(ours, A1.by)).toBe(false);
  });

  test('of an entry that goes with the same write is forgotten: status shows more than the entry', () => {
    letGo(ours, A1.by);
    expect(write()).toMatchObject({ kind: 'written', recorded: [], unrecorded: [] });
    expect(storedEntries()).toEqual([]);
  });

  test('of an entry that is gone brings it not back', () => {
    letGo(ours, A1.by);
    write();
    putID(ours, A1.by, '7');
    expect(beginWrite(ours)).toBeUndefined();
    expect(isNaming(ours, A1.by)).toBe(false);
  });

  test('that a person took out is written again', () => {
    write();
    byHand({ entries: formatEntries([A1]) });
    enter(ours, A2);
    expect(write()).toMatchObject({ rights: [], refused: [A2] });
    write();
    expect(storedEntries()).toEqual([NAMED]);
  });

  test('that a late write brought is known after the next one', () => {
    const protocol = writeJournal(ours, beginWrite(ours)!, PLACE);
    const late = protocol.next().value as ApiRequest;
    protocol.next(outage(true));
    expect(protocol.next(api.handle({ verb: 'get', resource: CONFIG_MAP, ...PLACE, read: 'quorum' }))).toMatchObject({
      value: { unrecorded: [NAMED] },
    });
    api.handle(late);
    enter(ours, A2);
    write();
    expect(entryOf(ours, A1.uid)).toEqual(NAMED);
  });
});

describe('taking over', () => {
  test('keeps the id of an entry that this process wrote without one', () => {
    enter(ours, A1);
    write();
    putID(ours, A1.by, '7');
    write();
    run(takeOver(ours, PLACE, [A1]));
    expect(entryOf(ours, A1.uid)).toEqual({ ...A1, captchaID: '7' });
  });

  test('keeps every entry, and fences whoever held the journal before', () => {
    enter(ours, A1);
    write();
    const next = takeOverBy('operator-b');
    expect(entryOf(next, A1.uid)).toEqual(A1);
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'lost', holder: 'operator-b', rights: [], refused: [A2] });
    expect(ours.held).toBe(false);
    expect(storedNames()).toEqual([A1.by]);
    expect(stored()['holder']).toBe('operator-b');
  });

  test('makes the journal where there is none, and says so', () => {
    api.remove(CONFIG_MAP.plural, PLACE.name);
    expect(run(takeOver(createJournal('operator-b'), PLACE))).toMatchObject({ kind: 'held', created: true });
    expect(run(takeOver(createJournal('operator-c'), PLACE))).toMatchObject({ kind: 'held', created: false });
  });

  test('gives up every right of an earlier lead, in doubt or not yet sent', () => {
    enter(ours, A1);
    api.faults = [() => outage(true)];
    write();
    enter(ours, A2);
    api.faults = [];
    expect(run(takeOver(ours, PLACE))).toMatchObject({ rights: [], refused: [A2, A1] });
    expect(write()).toBeUndefined();
  });

  test('whose reply was lost is made again', () => {
    loseReply(true);
    expect(run(takeOver(ours, PLACE))).toMatchObject({ kind: 'unavailable' });
    expect(run(takeOver(ours, PLACE))).toMatchObject({ kind: 'held', created: false });
  });

  test('of one whose last write is still on its way leaves that write without effect', () => {
    enter(ours, A1);
    const late = writeJournal(ours, beginWrite(ours)!, PLACE).next().value as ApiRequest;
    takeOverBy('operator-b');
    expect(api.handle(late)).toMatchObject({ status: 409 });
    expect(storedNames()).toEqual([]);
  });

  test('tells the holder before whether its last write was made, so that it writes an unused entry back once status shows it', () => {
    enter(ours, A1);
    loseReply(true);
    const batch = beginWrite(ours)!;
    const protocol = writeJournal(ours, batch, PLACE);
    api.handle(protocol.next().value as ApiRequest);
    api.faults = [];
    takeOverBy('operator-b');
    protocol.next(outage(true));
    const read = api.handle({ verb: 'get', resource: CONFIG_MAP, ...PLACE, read: 'quorum' });
    expect(protocol.next(read)).toMatchObject({ value: { kind: 'lost', rights: [A1], refused: [] } });
  });
});

describe('C7: a drop that was sent', () => {
  beforeEach(() => {
    enter(ours, A1);
    write();
    letGo(ours, A1.by);
  });

  test('makes this process forget the entry at once, answered or not', () => {
    expect(entryOf(ours, A1.uid)).toEqual(A1);
    beginWrite(ours);
    expect(entryOf(ours, A1.uid)).toBeUndefined();
  });

  test('and was not made is repeated, and nothing else is done about the entry', () => {
    loseReply(false);
    write();
    expect(storedNames()).toEqual([A1.by]);
    expect(entryOf(ours, A1.uid)).toBeUndefined();
    write();
    expect(storedNames()).toEqual([]);
  });

  test('is not repeated by who lost the journal meanwhile, and the entry stays forgotten', () => {
    loseReply(false);
    write();
    takeOverBy('operator-b');
    write();
    expect(storedNames()).toEqual([A1.by]);
    expect(entryOf(ours, A1.uid)).toBeUndefined();
  });
});

describe('a journal that another hand changed', () => {
  beforeEach(() => {
    enter(ours, A1);
    write();
  });

  test.each([
    ['emptied', () => byHand({ entries: '' })],
    [
      'emptied, its holder too',
      () => api.seed(CONFIG_MAP.plural, { ...api.read(CONFIG_MAP.plural, PLACE.name), data: {} }),
    ],
    ['set back to an old copy', () => byHand({ entries: formatEntries([{ ...A1, by: 'operator-z/7' }]) })],
  ])('is written again from memory before there are new rights: %s', (_, change) => {
    change();
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', rights: [], refused: [A2] });
    expect(write()).toMatchObject({ kind: 'written', rights: [] });
    expect(storedNames()).toEqual([A1.by]);
  });

  test('is made anew when it was deleted under its holder, and what it brings then is a right', () => {
    api.remove(CONFIG_MAP.plural, PLACE.name);
    enter(ours, A2);
    expect(write()).toMatchObject({ kind: 'written', rights: [A2], refused: [] });
    expect(storedNames()).toEqual([A1.by, A2.by]);
    expect(stored()['holder']).toBe('operator-a');
  });

  test('and holds an entry that nobody knows keeps it: somebody may be paid for it', () => {
    byHand({ entries: formatEntries([A1, A3]) });
    enter(ours, A2);
    write();
    expect(entryOf(ours, A3.uid)).toEqual(A3);
  });
});

/** Enters what a namespace may have there, and returns how many. */
function fill(namespace: string): number {
  let count = 0;
  for (; ; count += 1) {
    const entry = anEntry({ uid: `${namespace}-${count}`, namespace });
    if (roomFor(ours, { namespace, entryBytes: bytesOf(entry) }) !== 'free') break;
    enter(ours, entry);
    if (count % 100 === 0) write();
  }
  expect(roomFor(ours, { namespace, entryBytes: 100 })).toBe('taken');
  return count;
}

describe('room', () => {
  test('is for 128 KiB of entries, those that wait for the next write included', () => {
    let bytes = 0;
    for (let count = 0; ; count += 1) {
      const entry = anEntry({ uid: `task-${count}`, namespace: `team-${count}` });
      if (roomFor(ours, { namespace: entry.namespace, entryBytes: bytesOf(entry) }) !== 'free') break;
      enter(ours, entry);
      bytes += bytesOf(entry);
      if (count === 300) write();
    }
    expect(bytes).toBeGreaterThan(MAX_JOURNAL_BYTES - 200);
    write();
    expect(stored()['entries']?.length).toBe(bytes);
  });

  test('is taken by entries of a write that is under way, too', () => {
    const half = fill('team-a');
    beginWrite(ours);
    expect(fill('team-a')).toBe(0);
    expect(half).toBeGreaterThan(100);
  });

  test('is never more for one namespace than it leaves to the others', () => {
    const [first, second, third] = ['team-a', 'team-b', 'team-c'].map(fill);
    expect(first! / second!).toBeCloseTo(2, 1);
    expect(second! / third!).toBeCloseTo(2, 1);
    expect(third).toBeGreaterThan(50);
  });

  test('is used up for a namespace by what it has itself, and by what all have together', () => {
    expect(fullness(ours, 'default')).toBe(0);
    const enterSome = (namespace: string, bytes: number): void => {
      for (let uid = 0, used = 0; used < bytes; uid += 1) {
        const entry = anEntry({ uid: `${namespace}-${uid}`, namespace });
        enter(ours, entry);
        used += bytesOf(entry);
      }
    };
    enterSome('default', MAX_JOURNAL_BYTES / 4);
    beginWrite(ours); // Counts as well.
    expect(fullness(ours, 'default')).toBeCloseTo(1 / 3, 1);
    expect(fullness(ours, 'other')).toBeCloseTo(1 / 4, 1);
    enterSome('other', (MAX_JOURNAL_BYTES * 3) / 8);
    expect(fullness(ours, 'other')).toBeCloseTo(1, 1);
    expect(fullness(ours, 'default')).toBeCloseTo(2 / 3, 1);
  });

  test('new entries and ids that were not sent can be taken back', () => {
    enter(ours, A1);
    write();
    putID(ours, A1.by, '7');
    enter(ours, A2);
    expect(withdraw(ours)).toEqual([A2]);
    expect(beginWrite(ours)).toBeUndefined();
  });
});
