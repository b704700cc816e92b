/** Groups take turns, what is urgent goes first, and no key is lost or taken twice. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRounds, type Rounds } from '../../../src/waiting/rounds.ts';

const roundsOf = (...keys: string[]): Rounds => {
  const rounds = createRounds((key) => key.slice(0, 1));
  for (const key of keys) rounds.push(key, false);
  return rounds;
};
const isHeldBack = (group: string) => group === 'a';
const rest = (rounds: Rounds): string[] => {
  const taken: string[] = [];
  for (let key = rounds.take(); key !== undefined; key = rounds.take()) taken.push(key);
  return taken;
};

test('gives the keys of one group in the order of their coming', () => {
  expect(rest(roundsOf('a1', 'a2', 'a3'))).toEqual(['a1', 'a2', 'a3']);
});

test('lets groups take turns, so that who comes late to a long line waits for one key of each', () => {
  expect(rest(roundsOf('a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'))).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
  const rounds = roundsOf(...Array.from({ length: 10_000 }, (_, n) => `a${n}`));
  rounds.take();
  rounds.push('b1', false);
  expect([rounds.take(), rounds.take()]).toEqual(['a1', 'b1']);
});

test('gives what is urgent before all others, in the order of its coming', () => {
  const rounds = roundsOf('a1', 'b1');
  for (const key of ['b2', 'a2']) rounds.push(key, true);
  expect(rest(rounds)).toEqual(['b2', 'a2', 'a1', 'b1']);
});

test('passes over a group that is held back, which keeps its places', () => {
  const rounds = roundsOf('a1', 'b1', 'a2');
  rounds.push('a3', true);
  rounds.push('b2', true);
  expect([1, 2, 3].map(() => rounds.take(isHeldBack))).toEqual(['b2', 'b1', undefined]);
  expect(rest(rounds)).toEqual(['a3', 'a1', 'a2']);
});

test('moves a key that becomes urgent, and never moves it back', () => {
  const rounds = roundsOf('a1', 'a2', 'a3');
  rounds.push('a3', true);
  rounds.push('a3', false);
  expect(rounds.size).toBe(3);
  expect(rest(rounds)).toEqual(['a3', 'a1', 'a2']);
});

test('gives every key once for each time it joined, and is empty then', () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom('push', 'hurry', 'take'), fc.constantFrom('a1', 'a2', 'b1', 'b2', 'c1')),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const rounds = roundsOf();
      const standing = new Set<string>();
      for (const [act, key] of taken) {
        if (act === 'take') {
          const next = rounds.take();
          expect(next === undefined ? standing.size === 0 : standing.delete(next)).toBe(true);
        } else {
          rounds.push(key, act === 'hurry');
          standing.add(key);
        }
        expect([rounds.size, rounds.has(key)]).toEqual([standing.size, standing.has(key)]);
      }
      expect(new Set(rest(rounds))).toEqual(standing);
    }),
  );
});
