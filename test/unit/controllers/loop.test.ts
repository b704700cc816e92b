import { describe, expect, test } from 'vitest';
import type { Decision } from '../../../src/core/decision.ts';
import { createPass, type Performed } from '../../../src/controllers/loop.ts';

/** A loop over a plan: each turn's effect, and what becomes of it. */
function loopOver(turns: { effect?: string; wakeInMs?: number }[], outcomes: Record<string, Performed> = {}) {
  const seen: string[] = [];
  const results: string[] = [];
  const rules: string[] = [];
  let turn = 0;
  const pass = createPass<number, string>({
    gather: () => (turn < turns.length ? turn++ : undefined),
    decide: (index) => ({ rule: `turn ${index + 1}`, ...turns[index] }) as Decision<string>,
    perform: ({ effect }) => {
      seen.push(effect);
      return Promise.resolve(outcomes[effect] ?? 'changed');
    },
    now: () => 1_000,
    retry: () => seen.push('retry'),
    forget: () => seen.push('forget'),
    onDecision: (key, { rule }) => rules.push(`${key}: ${rule}`),
    onPass: (result) => results.push(result),
  });
  return { run: () => pass('ns/name', new AbortController().signal), seen, results, rules };
}

describe('a pass', () => {
  test('looks again after every change until there is nothing to do, then waits as long as was decided', async () => {
    const loop = loopOver([{ effect: 'intend' }, { effect: 'call' }, { wakeInMs: 500 }]);
    expect(await loop.run()).toEqual({ retryAtMs: 1_500 });
    expect(loop.seen).toEqual(['intend', 'call']);
    expect(loop.results).toEqual(['requeue_after']);
    expect(loop.rules).toEqual(['ns/name: turn 1', 'ns/name: turn 2', 'ns/name: turn 3']);
  });
  test('stops at the first failure and comes back with backoff', async () => {
    const loop = loopOver([{ effect: 'write' }, {}], { write: 'failed' });
    expect(await loop.run()).toEqual({});
    expect(loop.seen).toEqual(['write', 'retry']);
    expect(loop.results).toEqual(['requeue']);
  });
  test('forgets an object that is gone', async () => {
    const loop = loopOver([]);
    expect(await loop.run()).toEqual({});
    expect(loop.seen).toEqual(['forget']);
  });
  test('that does not settle gives its worker back', async () => {
    const loop = loopOver(Array.from({ length: 100 }, () => ({ effect: 'spin' })));
    expect(await loop.run()).toEqual({ retryAtMs: 1_001 });
    expect(loop.seen.length).toBeLessThan(20);
  });
});
