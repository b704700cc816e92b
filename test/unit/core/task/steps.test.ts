/** The steps of a task at the Kubernetes API, one by one; `test/histories` and the random histories run them together. */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { TaskMemory } from '../../../../src/core/task/memory.ts';
import type { Desk, StepEffect } from '../../../../src/core/task/steps.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../../../src/api/names.ts';
import { freshMemory, intentSent } from '../../../../src/core/task/memory.ts';
import { findLetter, stepOf } from '../../../../src/core/task/steps.ts';
import { intended } from '../../../../src/core/task/transitions.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { at } from '../../../support/facts.ts';
import { aLetter } from '../../../support/letters.ts';
import { createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';

const TASK = aTask().build();
const BY = 'operator-a/1';

/** An API server that holds the task, and a desk that begins with the same copy. */
function start() {
  const api = createModelApi(() => T0);
  api.strict = true;
  api.seed(CAPTCHA_TASK.plural, TASK);
  const read = () => api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK.metadata.name);
  const task = read() as CaptchaTask;
  let memory = freshMemory(task.metadata.uid);
  let cached: CaptchaTask | undefined = task;
  const told: string[] = [];
  const desk: Desk = {
    moment: () => at(0),
    memory: () => memory,
    remember: (change) => void (memory = change(memory)),
    cached: () => cached,
    take: (copy) => void (cached = copy === 'gone' ? undefined : copy),
    wrote(_before, after) {
      cached = after;
      told.push('wrote');
    },
    doubt: () => void told.push('doubt'),
    begins: () => void told.push('begins'),
    note: () => undefined,
  };
  const run = (effect: StepEffect, dieAfter?: number) => runModel(api, stepOf(task, desk, effect), dieAfter);
  const remember = (change: (memory: TaskMemory) => TaskMemory): void => desk.remember(change);
  return { api, task, run, told, remember, read, desk, memory: () => memory, cached: () => cached };
}

const INTENT = {
  kind: 'writeIntent',
  by: BY,
  status: intended(TASK, { by: BY, pingback: false, sameAttempt: false }, T0),
} as const;
const sent = (memory: TaskMemory) => intentSent(memory, { by: BY, attempt: 1, sentMono: 0 });

describe('an intent', () => {
  test('is remembered before its write is sent, and as written only after the reply', () => {
    const stage = start();
    expect(stage.run(INTENT, 0)).toBe('died');
    expect(stage.memory().intent).toMatchObject({ by: BY, written: false, call: 'notSent' });
    expect(stage.api.writes).toEqual([]);
    const other = start();
    expect(other.run(INTENT)).toBe('changed');
    expect(other.memory().intent).toMatchObject({ by: BY, written: true });
    expect(other.told).toEqual(['begins', 'wrote']);
  });

  test('that somebody else was faster than is dropped', () => {
    const stage = start();
    stage.api.seed(CAPTCHA_TASK.plural, { ...stage.task, status: { phase: 'Pending', attempts: 0 } });
    expect(stage.run(INTENT)).toBe('changed');
    expect(stage.memory().intent).toBeUndefined();
    expect(stage.cached()).toEqual(stage.read());
  });

  test('whose write nobody answered stays in doubt where the task cannot be read either', () => {
    const stage = start();
    stage.api.faults.push(() => outage(true));
    expect(stage.run(INTENT)).toBe('failed');
    expect(stage.memory().intent).toMatchObject({ written: false });
    expect(stage.told).toEqual(['begins', 'doubt']);
  });

  test('whose write nobody answered is written where a read shows it', () => {
    const stage = start();
    stage.api.faults.push((request) => {
      if (request.verb !== 'replaceStatus') return undefined;
      stage.api.faults.pop();
      stage.api.handle(request);
      return outage(true);
    });
    expect(stage.run(INTENT)).toBe('changed');
    expect(stage.memory().intent).toMatchObject({ by: BY, written: true });
  });
});

describe('a doubt about an intent', () => {
  test('ends with a read that shows it', () => {
    const stage = start();
    stage.remember(sent);
    stage.api.seed(CAPTCHA_TASK.plural, { ...stage.task, status: INTENT.status });
    expect(stage.run({ kind: 'settleDoubt' })).toBe('changed');
    expect(stage.memory().intent?.written).toBe(true);
  });

  test('ends with a read that does not show it, or that finds no task', () => {
    const stage = start();
    stage.remember(sent);
    expect(stage.run({ kind: 'settleDoubt' })).toBe('changed');
    expect(stage.memory().intent).toBeUndefined();
    const gone = start();
    gone.remember(sent);
    gone.api.remove(CAPTCHA_TASK.plural, TASK.metadata.name);
    expect(gone.run({ kind: 'settleDoubt' })).toBe('changed');
    expect(gone.memory().intent).toBeUndefined();
    expect(gone.cached()).toBeUndefined();
  });

  test('stays while the API server cannot be asked', () => {
    const stage = start();
    stage.remember(sent);
    stage.api.faults.push(() => outage());
    expect(stage.run({ kind: 'settleDoubt' })).toBe('failed');
    expect(stage.memory().intent?.written).toBe(false);
  });
});

test('a status that the API server refuses for good is not taken for written', () => {
  const stage = start();
  stage.api.faults.push((request) => (request.verb === 'replaceStatus' ? refusal(422, 'Invalid') : undefined));
  expect(stage.run({ kind: 'recordReply', status: INTENT.status })).toBe('failed');
  expect(stage.told).toEqual([]);
});

function named(name: string, uid = TASK.metadata.uid): DeadLetter {
  const letter = aLetter().build();
  const spec = { ...letter.spec, taskRef: { ...letter.spec.taskRef, uid } };
  return { ...letter, metadata: { ...letter.metadata, name }, spec };
}

function ended(name: string, phase: 'Abandoned' | 'Superseded'): DeadLetter {
  return { ...named(name), status: { phase } };
}

function look(letters: readonly DeadLetter[]) {
  const { api } = start();
  for (const letter of letters) api.seed(DEAD_LETTER.plural, letter);
  return { api, find: () => runModel(api, findLetter(TASK, { name: 'a' })) };
}

describe('whether a letter holds a task', () => {
  test.each([
    ['the named letter is there', [named('a')], 'present'],
    ['another pending or abandoned one of this task is there', [ended('b', 'Abandoned')], 'present'],
    ['another one has ended', [ended('b', 'Superseded')], 'absent'],
    ['the one of this name belongs to a former task', [named('a', 'former')], 'absent'],
    ['there is none', [], 'absent'],
  ] as const)('when %s it is known', (_when, letters, expected) => {
    expect(look(letters).find()).toBe(expected);
  });

  test('is unknown, not absent, while the API server cannot be asked, or tells of some letters only', () => {
    const { api, find } = look([]);
    api.faults.push(({ verb }) => (verb === 'list' ? outage() : undefined));
    expect(find()).toBe('unknown');
    const protocol = findLetter(TASK, { name: 'a' });
    protocol.next();
    protocol.next(refusal(404, 'NotFound'));
    const list = { items: [], metadata: { continue: 'more' } };
    expect(protocol.next({ ok: true, object: list }).value).toBe('unknown');
  });
});
