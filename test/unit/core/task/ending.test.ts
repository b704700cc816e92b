/** By whose word attempts and tasks end: what the provider says about them, and what is no such word. */
import { describe, expect, test } from 'vitest';
import type { TaskDecision } from '../../../../src/core/task/decide.ts';
import type { TaskMemory } from '../../../../src/core/task/memory.ts';
import * as memories from '../../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { pollAnswered } from '../../../../src/core/task/polling.ts';
import { aTask } from '../../../support/builders.ts';
import { at, decideAt } from '../../../support/facts.ts';

const overdue = 600_000;
const kind = ({ effect }: TaskDecision) => effect?.kind;
const statusOf = ({ effect }: TaskDecision) => (effect !== undefined && 'status' in effect ? effect.status : undefined);
const reasonOf = (decision: TaskDecision) => statusOf(decision)?.conditions?.[0]?.reason;

describe('an attempt that ended', () => {
  test('by a word that says it can never succeed fails the task at once, whatever retries are left', () => {
    const hopeless = aTask().intended().submitted().attemptEnded('ERROR_BAD_TOKEN_OR_PAGEURL');
    for (const backoffLimit of [0, 3]) {
      const decision = decideAt(hopeless.spec({ backoffLimit }), 0);
      expect(reasonOf(decision)).toBe('ProviderRejected');
      const failure = { class: 'Permanent', code: 'ERROR_BAD_TOKEN_OR_PAGEURL' };
      expect(statusOf(decision)).toMatchObject({ phase: 'Failed', failure });
    }
  });
  test.each(['ERROR_BAD_PROXY', 'ERROR_BAD_DUPLICATES', 'UNLISTED'])(
    'by %s is followed by another: the word is about this attempt, or not known',
    (code) => {
      const next = aTask().spec({ backoffLimit: 1 }).intended().submitted().attemptEnded(code);
      expect(kind(decideAt(next, 0))).toBe('joinLane');
    },
  );
});

describe('the final poll before a deadline', () => {
  test.each([
    'busy',
    'blocked',
    'keyRejected',
    'addressBlocked',
    'addressNotAllowed',
    'transient',
    'unlisted',
  ] as const)('is repeated until the provider has answered about the task: %s is no such answer', (refusalClass) => {
    const task = aTask().intended().submitted();
    const { submission } = task.build().status ?? {};
    const refused = (memory: TaskMemory, ms: number) => {
      const outcome = { kind: 'refused', class: refusalClass, code: 'CODE' } as const;
      const poll = { task: task.build(), outcome, final: true };
      return pollAnswered(memories.pollSent(memory, submission, true), poll, at(ms), DEFAULT_POLICY);
    };
    let memory = memories.freshMemory(task.build().metadata.uid);
    for (const ms of [overdue, 610_000]) {
      memory = refused(memory, ms);
      expect(decideAt(task, ms + 9_000, { memory }).effect).toEqual({ kind: 'poll', final: true });
    }
    memory = refused(memory, 620_000);
    expect(reasonOf(decideAt(task, 629_000, { memory }))).toBe('DeadlineExceeded');
  });
  test('waits for a key that only cannot be read just now, for half a minute, and not for one that is missing', () => {
    const task = aTask().intended().submitted();
    const key = { state: 'missing', message: 'Secret "a" cannot be read.', retryInMs: 400 } as const;
    const unread = (unreadForMs: number) => ({ key: { ...key, unreadForMs } });
    expect(decideAt(task, overdue, unread(29_999))).toMatchObject({ wakeInMs: 400 });
    expect(reasonOf(decideAt(task, overdue, unread(30_000)))).toBe('DeadlineExceeded');
    expect(reasonOf(decideAt(task, overdue, { key }))).toBe('DeadlineExceeded');
  });
  test('is over once the provider has said that the task is not ready', () => {
    const task = aTask().intended().submitted();
    const sent = memories.pollSent(memories.freshMemory('u'), task.build().status?.submission, true);
    const poll = { task: task.build(), outcome: { kind: 'pending' }, final: true } as const;
    const memory = pollAnswered(sent, poll, at(overdue), DEFAULT_POLICY);
    expect(reasonOf(decideAt(task.waiting('Polling'), 601_000, { memory }))).toBe('DeadlineExceeded');
  });
});
