import { describe, expect, test } from 'vitest';
import { conditionalPatch, sameJson } from '../../../../src/core/task/patch.ts';
import * as transitions from '../../../../src/core/task/transitions.ts';
import { T0, aTask } from '../../../support/builders.ts';

const condition = (task: { status?: { conditions?: { type: string }[] } }, type: string) =>
  task.status?.conditions?.find((one) => one.type === type);

describe('phases', () => {
  test.each([
    ['waiting', aTask().waiting('ProviderBusy'), 'Pending'],
    ['an intent', aTask().intended(), 'Submitting'],
    ['a try that was not accepted', aTask().intended().notAccepted('ProviderBusy'), 'Pending'],
    ['an accepted submission', aTask().intended().submitted(), 'Submitted'],
    ['an attempt that ended', aTask().intended().submitted().attemptEnded(), 'Pending'],
    ['a letter held', aTask().intended().submitted().marked(), 'Submitted'],
    ['a solution', aTask().intended().submitted().solved(), 'Solved'],
    ['a failure', aTask().intended().submitted().failed(), 'Failed'],
  ] as const)('after %s', (_name, builder, phase) => {
    expect(builder.build().status?.phase).toBe(phase);
  });
});

describe('attempts', () => {
  test('the first intent is attempt 1', () => {
    expect(aTask().intended().build().status).toMatchObject({ attempts: 1, submission: { attempt: 1 } });
  });
  test('keeps its number when the last try was not accepted', () => {
    const task = aTask().intended().notAccepted('ProviderBusy').intended(T0, { sameAttempt: true }).build();
    expect(task.status).toMatchObject({ attempts: 1, unknownSubmissions: 0, submission: { attempt: 1 } });
  });
  test('counts an unresolved submission as unknown when a new attempt replaces it', () => {
    expect(aTask().intended().intended().build().status).toMatchObject({ attempts: 2, unknownSubmissions: 1 });
  });
  test('does not count an attempt that ended as unknown', () => {
    const task = aTask().intended().submitted().attemptEnded().intended().build();
    expect(task.status).toMatchObject({ attempts: 2, unknownSubmissions: 0 });
  });
  test('writes the end of an attempt once', () => {
    const task = aTask()
      .intended()
      .submitted()
      .attemptEnded('FIRST', T0)
      .attemptEnded('SECOND', T0 + 5000)
      .build();
    expect(task.status?.submission).toMatchObject({ code: 'FIRST', endTime: '2026-01-01T00:00:00Z' });
  });
});

describe('startTime', () => {
  test('is set by the first write and kept', () => {
    const task = aTask()
      .waiting('ProviderBusy', T0)
      .waiting('KeyRejected', T0 + 9000)
      .build();
    expect(task.status?.startTime).toBe('2026-01-01T00:00:00Z');
  });
  test('is cleared by suspension and set anew on resume', () => {
    const suspended = aTask()
      .intended()
      .submitted()
      .spec({ suspend: true })
      .waiting('Suspended', T0 + 1000);
    expect(suspended.build().status).not.toHaveProperty('startTime');
    const resumed = suspended
      .spec({ suspend: false })
      .waiting('AwaitingCallback', T0 + 5000)
      .build();
    expect(resumed.status).toMatchObject({ startTime: '2026-01-01T00:00:05Z', phase: 'Submitted' });
  });
});

describe('conditions', () => {
  test('move their time only when their status does', () => {
    const task = aTask()
      .waiting('ProviderBusy', T0)
      .waiting('KeyRejected', T0 + 9000)
      .build();
    expect(condition(task, 'Solved')).toMatchObject({
      reason: 'KeyRejected',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
  });
  test('a finished task is no longer reconciling', () => {
    expect(condition(aTask().intended().submitted().solved().build(), 'Reconciling')).toBeUndefined();
  });
  test('a failed task is stalled, and says so before anything kstatus could read', () => {
    const task = aTask().intended().failed().build();
    expect(task.status?.conditions?.map((one) => one.type)).toEqual(['Solved', 'Submitted', 'Stalled']);
  });
  test('carry the generation they were derived from', () => {
    for (const one of aTask().intended().build().status?.conditions ?? []) expect(one.observedGeneration).toBe(1);
  });
  test('a hint leaves a dead-lettered task dead-lettered', () => {
    const task = aTask().intended().submitted().marked().build();
    expect(condition({ status: transitions.pollDue(task, T0) }, 'Solved')).toMatchObject({ reason: 'DeadLettered' });
  });
});

describe('solutions', () => {
  test('bring the lost id of the current attempt', () => {
    const task = aTask().intended().solved(T0, { captchaID: '99' }).build();
    expect(task.status?.submission?.captchaID).toBe('99');
  });
  test('of an earlier attempt leave the current submission alone', () => {
    const task = aTask().intended().intended().solved(T0, { attempt: 1, captchaID: '99' }).build();
    expect(task.status?.submission).not.toHaveProperty('captchaID');
  });
});

describe('dead-letter marks', () => {
  test('dropping one makes the accepted task due for a poll', () => {
    const task = aTask().intended().submitted(T0).marked().build();
    const status = transitions.markDropped(task, T0 + 60_000);
    expect(status).not.toHaveProperty('deadLetter');
    expect(status.submission?.pollAfterTime).toBe('2026-01-01T00:01:00Z');
    expect(condition({ status }, 'Solved')).toMatchObject({ reason: 'AwaitingCallback' });
  });
});

describe('the conditional patch', () => {
  test('tests uid, phase and attempts before it writes', () => {
    const task = aTask().intended().submitted().build();
    const ops = conditionalPatch(task, transitions.attemptEnded(task, 'X', T0), { phase: true, attempts: true });
    expect(ops?.slice(0, 3)).toEqual([
      { op: 'test', path: '/metadata/uid', value: task.metadata.uid },
      { op: 'test', path: '/status/phase', value: 'Submitted' },
      { op: 'test', path: '/status/attempts', value: 1 },
    ]);
  });
  test('writes changed fields only and removes what is gone', () => {
    const task = aTask().intended().submitted().marked().build();
    const ops = conditionalPatch(task, transitions.markDropped(task, T0 + 1000), {}) ?? [];
    expect(ops.map((op) => `${op.op} ${op.path}`).sort()).toEqual([
      'add /status/conditions',
      'add /status/submission',
      'remove /status/deadLetter',
      'test /metadata/uid',
    ]);
  });
  test('does not exist for a task without status', () => {
    expect(conditionalPatch(aTask().build(), transitions.waiting(aTask().build(), 'Pending', T0), {})).toBeUndefined();
  });
  test('compares JSON by value', () => {
    expect(sameJson({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toBe(true);
    expect(sameJson({ a: [1] }, { a: { 0: 1 } })).toBe(false);
    expect(sameJson({ a: undefined, b: 1 }, { b: 1, c: 2 })).toBe(false);
  });
});
