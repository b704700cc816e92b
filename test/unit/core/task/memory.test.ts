import { describe, expect, test } from 'vitest';
import * as memories from '../../../../src/core/task/memory.ts';
import { aTask } from '../../../support/builders.ts';

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
});
