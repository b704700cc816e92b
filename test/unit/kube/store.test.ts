/** The store's three protections: versions only grow, floors, progress. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createStore } from '../../../src/kube/store.ts';
import type { Change } from '../../../src/kube/store.ts';
import type { KubeObject } from '../../../src/kube/types.ts';

const object = (name: string, version: number, extra: object = {}): KubeObject => ({
  metadata: { namespace: 'ns', name, resourceVersion: String(version) },
  ...extra,
});
const at = (namespace: string, name: string): KubeObject => ({
  metadata: { namespace, name, resourceVersion: '3' },
});
const newStore = () => createStore({ project: (raw) => ({ name: raw.metadata.name, spec: raw['spec'] }) });
const watched = (items: KubeObject[], version: number) => {
  const store = newStore();
  store.feed.beginReplace('', version);
  for (const item of items) store.feed.upsert(item);
  store.feed.endReplace('', version);
  return store;
};

describe('the store', () => {
  test('freezes what it holds, to the bottom', () => {
    const store = watched([object('a', 1, { spec: { list: [{ deep: true }] } })], 1);
    const spec = store.get('ns/a')?.spec as { list: [{ deep: boolean }] };
    expect(() => {
      spec.list[0].deep = false;
    }).toThrow(TypeError);
  });

  test('compares versions as integers, not as text', () => {
    const store = watched([object('a', 9)], 9);
    store.feed.upsert(object('a', 10));
    expect(store.versionAt('ns/a')).toBe(10);
  });

  test('ignores the echo of an own write and everything older', () => {
    const store = watched([object('a', 5)], 5);
    store.put(object('a', 8));
    const changes: Change[] = [];
    store.subscribe((_key, change) => changes.push(change));
    store.feed.upsert(object('a', 7));
    store.feed.upsert(object('a', 8));
    expect(changes).toEqual([]);
    expect(store.versionAt('ns/a')).toBe(8);
  });

  test('is not talked back into an object that an own write finished', () => {
    const store = watched([object('a', 5)], 5);
    store.drop('ns/a', '9');
    store.feed.upsert(object('a', 7));
    store.put(object('a', 8));
    expect(store.get('ns/a')).toBeUndefined();
  });

  test('takes a new object under the name of a finished one', () => {
    const store = watched([object('a', 5)], 5);
    store.drop('ns/a', 9);
    store.feed.upsert(object('a', 12));
    expect(store.versionAt('ns/a')).toBe(12);
  });

  test('drops nothing newer than the write that dropped it', () => {
    const store = watched([object('a', 5)], 5);
    store.feed.upsert(object('a', 20));
    store.drop('ns/a', 9);
    expect(store.versionAt('ns/a')).toBe(20);
  });

  test('does not bring back by a late answer what the watch has seen deleted', () => {
    const store = watched([object('a', 5)], 5);
    store.feed.remove(object('a', 11));
    store.feed.passed('', 11);
    store.put(object('a', 8));
    expect(store.size).toBe(0);
  });

  test('keeps an own write that is newer than anything watched', () => {
    const store = watched([], 5);
    store.put(object('a', 8));
    expect(store.versionAt('ns/a')).toBe(8);
  });

  test('ignores the deletion of what an own write made anew', () => {
    const store = watched([object('a', 5)], 5);
    store.put(object('a', 12));
    store.feed.remove(object('a', 9));
    expect(store.versionAt('ns/a')).toBe(12);
  });

  test('says of each change whether an answer of ours or the watch told of it first', () => {
    const store = watched([object('a', 5)], 5);
    const seen: string[] = [];
    store.subscribe((...[key, change, , , origin]) => seen.push(`${key} ${change} ${origin}`));
    store.put(object('a', 6));
    store.feed.upsert(object('a', 6));
    store.feed.upsert(object('a', 7));
    store.drop('ns/a', 8);
    store.feed.remove(object('a', 8));
    store.feed.upsert(object('b', 9));
    store.feed.remove(object('b', 10));
    expect(seen).toEqual([
      'ns/a updated own',
      'ns/a updated watch',
      'ns/a deleted own',
      'ns/b added watch',
      'ns/b deleted watch',
    ]);
  });

  test('reports what a relist no longer names as deleted, with its last value', () => {
    const store = watched([object('a', 5), object('b', 6)], 6);
    const seen: unknown[] = [];
    store.subscribe((key, change, current, previous) => seen.push([key, change, current, previous?.name]));
    store.feed.beginReplace('', 10);
    store.feed.upsert(object('b', 6));
    store.feed.endReplace('', 10);
    expect(seen).toEqual([['ns/a', 'deleted', undefined, 'a']]);
  });

  test('keeps through a relist what was written after the list was taken', () => {
    const store = watched([object('a', 5)], 5);
    store.feed.beginReplace('', 10);
    store.put(object('b', 11));
    store.feed.endReplace('', 10);
    expect([...store.keys()]).toEqual(['ns/b']);
  });

  test('gives up on a relist what an own write had touched before the list was taken', () => {
    const store = watched([object('a', 5)], 5);
    store.feed.beginReplace('', 10);
    store.put(object('a', 9));
    store.feed.endReplace('', 10);
    expect(store.size).toBe(0);
  });

  test('lets lists of two namespaces overlap without deleting the other', () => {
    const store = newStore();
    store.feed.beginReplace('one', 3);
    store.feed.upsert(at('one', 'a'));
    store.feed.beginReplace('two', 3);
    store.feed.upsert(at('two', 'b'));
    store.feed.upsert(at('one', 'c'));
    store.feed.endReplace('one', 3);
    store.feed.endReplace('two', 3);
    expect([...store.keys()].toSorted()).toEqual(['one/a', 'one/c', 'two/b']);
  });

  test('does not take namespace "team" for the scope of "team-a"', () => {
    const store = newStore();
    store.put({ metadata: { namespace: 'team-a', name: 'x', resourceVersion: '1' } });
    store.feed.beginReplace('team', 5);
    store.feed.endReplace('team', 5);
    expect(store.size).toBe(1);
  });

  test('ends only a list that has begun: without one, nothing may be taken for missing', () => {
    const store = watched([object('a', 1)], 1);
    store.put(object('b', 2));
    expect(() => store.feed.endReplace('', 3)).toThrow('had not begun');
    expect([...store.keys()]).toEqual(['ns/a', 'ns/b']);
  });

  test('starts over when the storage went back in time', () => {
    const store = watched([object('a', 500), object('b', 501)], 501);
    store.feed.beginReplace('', 40);
    store.feed.upsert(object('a', 30));
    store.feed.endReplace('', 40);
    expect([...store.keys()]).toEqual(['ns/a']);
    expect(store.versionAt('ns/a')).toBe(30);
  });

  test('tells each change once, with the value before and after', () => {
    const store = newStore();
    const seen: unknown[] = [];
    const unsubscribe = store.subscribe((key, change, current, previous) =>
      seen.push([key, change, current?.spec, previous?.spec]),
    );
    store.feed.upsert(object('a', 1, { spec: 1 }));
    store.feed.upsert(object('a', 2, { spec: 2 }));
    store.feed.remove(object('a', 3));
    unsubscribe();
    store.feed.upsert(object('a', 4));
    expect(seen).toEqual([
      ['ns/a', 'added', 1, undefined],
      ['ns/a', 'updated', 2, 1],
      ['ns/a', 'deleted', undefined, 2],
    ]);
  });
});

/**
 * One object's history at the server; the watch tells it in order, own writes tell parts of it at any moment. Whatever
 * the interleaving, once the watch has told everything the store equals the server, and no version ever goes back.
 */
test('converges to the server for any interleaving of the watch and answers of own writes', () => {
  const step = fc.constantFrom('update', 'finish', 'delete');
  const answerDelay = fc.integer({ min: 0, max: 6 });
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.boolean(), answerDelay), { maxLength: 12 }), (steps) => {
      const store = watched([], 0);
      const late: { at: number; apply: () => void }[] = [];
      let inSelection = false;
      let newest = -1;
      store.subscribe((_key, change) => {
        const version = store.versionAt('ns/a') ?? newest;
        if (change !== 'deleted') expect(version).toBeGreaterThan(newest);
        newest = version;
      });
      for (const [index, [kind, isOwn, delay]] of steps.entries()) {
        const version = index + 1;
        const raw = object('a', version);
        const wasIn = inSelection;
        inSelection = kind === 'update';
        if (isOwn) {
          const apply = () => (kind === 'update' ? store.put(raw) : store.drop('ns/a', version));
          late.push({ at: index + delay - 2, apply });
        }
        for (const answer of late.filter(({ at }) => at <= index)) answer.apply();
        late.splice(0, late.length, ...late.filter(({ at }) => at > index));
        if (inSelection) store.feed.upsert(raw);
        else if (wasIn) store.feed.remove(raw);
        store.feed.passed('', version);
      }
      for (const answer of late) answer.apply();
      expect(store.get('ns/a') !== undefined).toBe(inSelection);
    }),
    { numRuns: 2_000 },
  );
});
