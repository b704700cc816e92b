/** An accepted id of a first submission: into status at once, or into the journal first and into status last in line. */
import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../../src/api/captchatask.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { withEntry } from '../../../../src/core/journal/overlay.ts';
import { decideTask } from '../../../../src/core/task/decide.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { anEntry } from '../../../support/entries.ts';
import { BY, type FactsChange, at, decideAt, ended, factsOf, kind, statusOf } from '../../../support/facts.ts';

const ENTRY = anEntry({ by: BY });
const NAMED = { ...ENTRY, captchaID: CAPTCHA_ID };
const REPLY = { by: BY, attempt: 1, outcome: { kind: 'accepted', captchaID: CAPTCHA_ID } } as const;
const memory = { intent: ended(1_000), reply: REPLY };
/** Its own, accepted a second after T0; requests queue. */
const CROWDED: FactsChange = { entry: ENTRY, record: 'later', memory };

/** As rules see it: with its entry. */
function decide(builder: TaskBuilder, ms: number, change: FactsChange = {}) {
  const facts = { ...CROWDED, ...change };
  const task = facts.entry === undefined ? builder : builder.status(withEntry(builder.build(), facts.entry).status);
  return decideAt(task, ms, facts);
}

/** What becomes of the id of a task that was so old when it was accepted. */
function age(seconds: number, captcha?: Captcha) {
  const task = aTask().created(T0 + 1_000 - seconds * 1_000);
  return kind(decide(captcha === undefined ? task : task.spec({ captcha }), 1_000));
}

describe('while requests queue, an accepted id', () => {
  test('goes into the journal', () => {
    expect(decide(aTask(), 1_000).effect).toEqual({ kind: 'enterID', by: BY, captchaID: CAPTCHA_ID });
  });
  test.each(['entering', 'later'] as const)('goes there once, and then waits for its turn: %s', (record) => {
    const entry = record === 'later' ? NAMED : ENTRY;
    const decision = decide(aTask(), 1_000, { entry, record });
    expect(decision).toMatchObject({ wakeInMs: 118_000 });
    expect(decision.effect).toBeUndefined();
  });
  test('is written to status when it is called up, and says when it was accepted: the journal does not tell', () => {
    const { submission } = statusOf(decide(aTask(), 4_000, { entry: NAMED, record: 'now' })) ?? {};
    const times = { submittedTime: formatTime(T0 + 1_000), pollAfterTime: formatTime(T0 + 121_000) };
    expect(submission).toMatchObject({ captchaID: CAPTCHA_ID, intentBy: BY, ...times });
  });
  test('is written to status in time for the first poll, whatever queues', () => {
    expect(kind(decide(aTask(), 118_999, { entry: NAMED }))).toBeUndefined();
    expect(kind(decide(aTask(), 119_000, { entry: NAMED }))).toBe('recordReply');
    const polled = { ...NAMED, pingback: false };
    expect(kind(decide(aTask(), 13_999, { entry: polled }))).toBeUndefined();
    expect(kind(decide(aTask(), 14_000, { entry: polled }))).toBe('recordReply');
    const callbacks = { silent: true, refused: false };
    expect(kind(decide(aTask(), 14_000, { entry: NAMED, callbacks }))).toBe('recordReply');
  });
  test('is written to status in time for the deadline', () => {
    const task = aTask().spec({ activeDeadlineSeconds: 20 });
    expect(kind(decide(task, 17_999, { entry: NAMED }))).toBeUndefined();
    expect(kind(decide(task, 18_000, { entry: NAMED }))).toBe('recordReply');
  });
});

describe('an accepted id is written to status at once', () => {
  test.each<[string, FactsChange]>([
    ['where nothing queues', { record: 'now' }],
    ['by a process that does not act any more', { mayAct: false }],
    ['by a process that knows no entry of its own call', { entry: { ...ENTRY, by: 'operator-b/1' } }],
    ['where a result is held as well', { memory: { ...memory, held: {} as never } }],
  ])('%s', (_, change) => {
    expect(kind(decide(aTask(), 1_000, change))).toBe('recordReply');
  });
  test('where status shows the attempt already', () => {
    expect(kind(decideAt(aTask().intended(), 1_000, { memory, record: 'later' }))).toBe('recordReply');
  });
  test('of a task that is suspended', () => {
    expect(kind(decide(aTask().spec({ suspend: true }), 1_000))).toBe('recordReply');
  });
  test('of a task that is being deleted', () => {
    const task = withEntry(aTask().build(), ENTRY);
    const metadata = { ...task.metadata, deletionTimestamp: formatTime(T0) };
    const decision = decideTask(factsOf({ ...task, metadata }, CROWDED), at(1_000), DEFAULT_POLICY);
    expect(kind(decision)).toBe('recordReply');
  });
});

describe('a result’s life counts from its task’s creation where status does not show when it was submitted', () => {
  test('so of an old task with a result that dies it is recorded at once', () => {
    expect(age(60)).toBe('enterID');
    expect(age(61)).toBe('recordReply');
  });
  test('and of one whose result has no known life it need not be', () => {
    expect(age(3_600, { type: 'Image', image: { body: 'aGk=' } })).toBe('enterID');
  });
});

test('a result is known by the id of status, not of the journal: the reply stays until status shows it', () => {
  expect(kind(decide(aTask(), 1_000, { entry: NAMED, record: 'now' }))).toBe('recordReply');
  const shown = aTask().intended().submitted();
  expect(decideAt(shown, 1_000, { memory, record: 'later' }).effect).toEqual({ kind: 'settleReply', conflict: false });
});
