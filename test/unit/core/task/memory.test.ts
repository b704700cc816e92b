import { describe, expect, test } from 'vitest';
import * as memories from '../../../../src/core/task/memory.ts';
import { aTask } from '../../../support/builders.ts';
import { anEntry } from '../../../support/entries.ts';

describe('memory', () => {
  const task = aTask().intended().build();
  test('recognises an own intent in a copy, even if the reply of its write was lost', () => {
    const sent = memories.intentSent(memories.freshMemory('u'), { by: 'operator-a/1', attempt: 1, sentMono: 5 });
    expect(memories.sighted(sent, task, 9).intent?.written).toBe(true);
    const other = memories.intentSent(memories.freshMemory('u'), { by: 'operator-a/2', attempt: 1, sentMono: 5 });
    expect(memories.sighted(other, task, 9)).toMatchObject({ intent: { written: false }, sighted: { atMono: 9 } });
  });
  test('keeps the first sight of a foreign intent', () => {
    const first = memories.sighted(memories.freshMemory('u'), task, 5);
    expect(memories.sighted(first, task, 9).sighted?.atMono).toBe(5);
  });
  test('keeps nothing of what was read for a call that is never made: the proxy may be another by the next turn', () => {
    const read = memories.sourcesRead(memories.freshMemory('u'), { state: 'ready', proxyAddress: '10.0.0.1:8080' });
    const sent = memories.intentSent(read, { by: 'operator-a/1', attempt: 1, sentMono: 0 });
    expect(sent.sources).toBeDefined();
    expect(memories.callForgone(sent, 1).sources).toBeUndefined();
  });
  test('of a task that only waits for its callback is blank', () => {
    const done = memories.replySettled(
      memories.callEnded(
        memories.callSent(memories.intentSent(memories.freshMemory('u'), { by: 'a/1', attempt: 1, sentMono: 0 })),
        { by: 'a/1', outcome: { kind: 'accepted', captchaID: '1' } },
        1,
      ),
    );
    expect(memories.isBlank(done)).toBe(true);
  });

  describe('of what a first submission is paid with', () => {
    const other = { apiKeySecretRef: { name: 'other', key: 'api-key' } };
    const fresh = memories.freshMemory('u');
    const calling = memories.intentSent(fresh, { by: 'a/1', attempt: 1, sentMono: 0, entry: anEntry() });
    const paid = memories.replySettled(memories.payerNoted(memories.callSent(calling), aTask().build().spec));
    const accepted = aTask().submitted();

    test('is kept until status shows the attempt, and then while the task names another key', () => {
      expect(memories.isBlank(memories.payerSeen(paid, aTask().build()))).toBe(false);
      expect(memories.isBlank(memories.payerSeen(paid, accepted.build()))).toBe(true);
      const kept = memories.payerSeen(paid, accepted.spec(other).build());
      expect(memories.isBlank(kept)).toBe(false);
      expect(memories.asPaid(accepted.spec(other).build(), kept.payer).spec.apiKeySecretRef).toBeUndefined();
    });
    test('ends with that attempt: the next one goes by the key that the task names', () => {
      const ended = aTask().spec(other).submitted().attemptEnded();
      expect(memories.asPaid(ended.build(), paid.payer)).toEqual(ended.build());
      expect(memories.isBlank(memories.payerSeen(paid, ended.intended().build()))).toBe(true);
    });
    test('is not noted of an attempt that status announced: its key cannot change', () => {
      const announced = memories.intentSent(fresh, { by: 'a/1', attempt: 2, sentMono: 0 });
      expect(memories.payerNoted(memories.callSent(announced), aTask().build().spec).payer).toBeUndefined();
    });
  });
});
