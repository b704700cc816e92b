import { describe, expect, test } from 'vitest';
import { createPass, type Performed } from '../../../src/controllers/loop.ts';

/** A loop over a plan: each turn's effects, and what becomes of each. */
function loopOver(turns: { effects?: string[]; wakeInMs?: number }[], outcomes: Record<string, Performed> = {}) {
  const seen: string[] = [];
  const results: string[] = [];
  let turn = 0;
  const pass = createPass<number, string>({
    gather: () => (turn < turns.length ? turn++ : undefined),
    decide: (index) => ({ effects: [], ...turns[index] }),
    perform: ({ effect }) => {
      seen.push(effect);
      return Promise.resolve(outcomes[effect] ?? 'changed');
    },
    now: () => 1_000,
    retry: () => seen.push('retry'),
    forget: () => seen.push('forget'),
    onPass: (result) => results.push(result),
  });
  return { run: () => pass('ns/name', new AbortController().signal), seen, results };
}

describe('a pass', () => {
  test('looks again after every change until there is nothing to do, then waits as long as was decided', async () => {
    const loop = loopOver([{ effects: ['intend'] }, { effects: ['call'] }, { wakeInMs: 500 }]);
    expect(await loop.run()).toEqual({ retryAtMs: 1_500 });
    expect(loop.seen).toEqual(['intend', 'call']);
    expect(loop.results).toEqual(['requeue_after']);
  });
  test('stops at the first failure and comes back with backoff', async () => {
    const loop = loopOver([{ effects: ['write', 'never'] }, {}], { write: 'failed' });
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
    const loop = loopOver(Array.from({ length: 100 }, () => ({ effects: ['spin'] })));
    expect(await loop.run()).toEqual({ retryAtMs: 1_001 });
    expect(loop.seen.length).toBeLessThan(20);
  });
});
