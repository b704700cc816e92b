/** How an entry is spelled, what a task looks like with it, and what shows that it may go. */
import { describe, expect, test } from 'vitest';
import { type Entry, formatEntries, parseEntries } from '../../../../src/core/journal/entry.ts';
import { isShown, isUnshown, statusShowing, withEntry } from '../../../../src/core/journal/overlay.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { anEntry } from '../../../support/entries.ts';

const accepted: Entry = anEntry({ captchaID: CAPTCHA_ID });

describe('a line of the journal', () => {
  test.each([anEntry(), anEntry({ pingback: false }), accepted])('is read as it was written', (entry) => {
    expect(parseEntries(formatEntries([entry, anEntry({ uid: 'other' })]))).toEqual([entry, anEntry({ uid: 'other' })]);
  });

  test('says to people which task it is about', () => {
    expect(formatEntries([accepted])).toBe(
      `${accepted.uid} default/login operator-a/1 2026-01-01T00:00:00Z pingback ${CAPTCHA_ID}\n`,
    );
  });

  test.each([
    ['nothing', ''],
    ['words', 'nobody should write here'],
    ['a name without a namespace', 'u login operator-a/1 2026-01-01T00:00:00Z pingback'],
    ['no time', 'u default/login operator-a/1 soon pingback'],
    ['no word about the callback URL', 'u default/login operator-a/1 2026-01-01T00:00:00Z'],
  ])('that is none is passed over: %s', (_, line) => {
    expect(parseEntries(`${line}\n${formatEntries([accepted])}`)).toEqual([accepted]);
  });
});

describe('a task with its entry', () => {
  test('is as if its status showed the intent, begun when the entry was made', () => {
    const { status } = withEntry(aTask().build(), anEntry());
    const submission = { attempt: 1, intentBy: 'operator-a/1', intentTime: '2026-01-01T00:00:00Z', pingback: true };
    expect(status).toMatchObject({ phase: 'Submitting', attempts: 1, startTime: '2026-01-01T00:00:00Z', submission });
  });

  test('is submitted where the entry has an id, and due for its first poll as ever', () => {
    const { status } = withEntry(aTask().build(), accepted);
    const submission = { captchaID: CAPTCHA_ID, pollAfterTime: '2026-01-01T00:02:00Z' };
    expect(status).toMatchObject({ phase: 'Submitted', attempts: 1, submission });
  });

  test('keeps the start that status tells of already', () => {
    const task = aTask()
      .waiting('ProviderBusy', T0 - 9_000)
      .build();
    expect(withEntry(task, anEntry()).status.startTime).toBe('2025-12-31T23:59:51Z');
  });

  test.each([
    ['has no status', aTask(), true],
    ['waits and was never tried', aTask().waiting('ProviderBusy'), true],
    ['shows a submission', aTask().intended(), false],
    [
      'was tried and refused: the next try is in status, and never in the journal',
      aTask().intended().notAccepted('Pending'),
      false,
    ],
    ['is finished', aTask().failed(), false],
    ['is another of its name', aTask().uid('another'), false],
  ])('is seen with it only as long as status cannot show it: one that %s', (_, builder, isUnseen) => {
    expect(isUnshown(builder.build(), anEntry())).toBe(isUnseen);
  });
});

describe('an entry', () => {
  test.each([
    ['nothing', aTask(), false, false],
    ['the intent', aTask().intended(), true, false],
    ['the id', aTask().intended().submitted(), true, true],
    ['another id', aTask().intended().submitted(T0, { captchaID: '1' }), true, true],
    ['an end', aTask().intended().attemptEnded(), true, true],
    ['a later attempt', aTask().intended().submitted().attemptEnded().intended(), true, true],
    ['a finish that knows of the submission', aTask().intended().solved(), true, true],
    // C4: a leader of earlier may fail the task without knowing of its submission.
    ['a finish that does not know of it', aTask().failed(), false, false],
    ['the same of another task of the name', aTask().uid('another').intended().submitted(), false, false],
  ])('is shown by a status that has %s', (_, builder, withoutID, withID) => {
    expect([isShown(builder.build(), anEntry()), isShown(builder.build(), accepted)]).toEqual([withoutID, withID]);
  });

  test('C4: of a task that was finished without knowing of its submission corrects the number of attempts, and nothing else', () => {
    const task = aTask().failed().build();
    expect(statusShowing(task, anEntry())).toEqual({ ...task.status, attempts: 1 });
  });

  test('gives its id to the submission of the task that has none', () => {
    const task = aTask().intended(T0, { by: 'adopted' }).build();
    const { phase, submission } = statusShowing(task, accepted);
    expect([phase, submission?.captchaID, submission?.intentBy]).toEqual(['Submitted', CAPTCHA_ID, 'adopted']);
  });
});
