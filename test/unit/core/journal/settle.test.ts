/** Entries whose task has left the cache, and those of a process that ends: status is made to show them by a fresh read. */
import { beforeEach, describe, expect, test } from 'vitest';
import { CAPTCHA_TASK } from '../../../../src/api/names.ts';
import { settleEntry } from '../../../../src/core/journal/protocols.ts';
import { CAPTCHA_ID, aTask } from '../../../support/builders.ts';
import { anEntry } from '../../../support/entries.ts';
import { type ModelApi, createModelApi, outage, runModel } from '../../../support/model-api.ts';

const ENTRY = anEntry();

let api: ModelApi;
beforeEach(() => {
  api = createModelApi();
});

function run<Verdict>(protocol: Parameters<typeof runModel<Verdict>>[1]): Verdict {
  const verdict = runModel(api, protocol);
  if (verdict === 'died') throw new Error('not asked to die');
  return verdict;
}

describe('an entry whose task nobody decides about is settled by a fresh read', () => {
  test('status is made to show it', () => {
    api.seed(CAPTCHA_TASK.plural, aTask().build());
    expect(run(settleEntry(ENTRY))).toMatchObject({ kind: 'shown', task: { status: { attempts: 1 } } });
    expect(api.read(CAPTCHA_TASK.plural, 'login')?.status).toMatchObject({
      phase: 'Submitting',
      submission: { intentBy: ENTRY.by },
    });
  });

  test('with its id, where it has one', () => {
    api.seed(CAPTCHA_TASK.plural, aTask().intended().build());
    expect(run(settleEntry(anEntry({ captchaID: CAPTCHA_ID })))).toMatchObject({ kind: 'shown' });
    expect(api.read(CAPTCHA_TASK.plural, 'login')?.status).toMatchObject({
      phase: 'Submitted',
      submission: { captchaID: CAPTCHA_ID },
    });
  });

  test('a status that shows it costs a read and no write', () => {
    api.seed(CAPTCHA_TASK.plural, aTask().intended().submitted().build());
    expect(run(settleEntry(ENTRY))).toMatchObject({ kind: 'shown' });
    expect(api.writes).toEqual([]);
  });

  test('C4: a finished task that does not know of its submission is corrected', () => {
    api.seed(CAPTCHA_TASK.plural, aTask().failed().build());
    expect(run(settleEntry(ENTRY))).toMatchObject({
      kind: 'shown',
      task: { status: { phase: 'Failed', attempts: 1 } },
    });
  });

  test('the task of another uid, or none, is the end of it', () => {
    expect(run(settleEntry(ENTRY))).toEqual({ kind: 'gone' });
    api.seed(CAPTCHA_TASK.plural, aTask().uid('another').build());
    expect(run(settleEntry(ENTRY))).toEqual({ kind: 'gone' });
  });

  test('nothing is taken for gone while the API server cannot be asked', () => {
    api.faults = [() => outage()];
    expect(run(settleEntry(ENTRY))).toEqual({ kind: 'later' });
  });
});
