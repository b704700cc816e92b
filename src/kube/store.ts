/**
 * What a watch knows, projected and frozen, keyed `namespace/name`, together with what our own writes returned before
 * the watch told of them. It never holds raw objects. Reflectors fill it through `feed`, writers through `put` and `drop`.
 *
 * Three things keep it true although both sources write to it, in any order:
 * - an entry only moves to a higher resourceVersion, so echoes of own writes and repeated events change nothing;
 * - a *floor* remembers the version at which an own write took an object out of the selection (a finished task), so
 *   that older echoes cannot bring it back; it goes away once the watch has passed it;
 * - the *progress* of each watched scope says up to where the watch has told everything, so that the late answer of an
 *   own write cannot bring back an object that was deleted meanwhile.
 */
import { keyOf, versionOf } from './types.ts';
import type { KubeObject } from './types.ts';

export type Change = 'added' | 'updated' | 'deleted';

/** `own`: an answer to a request of ours told of it first (`put`, `drop`). */
export type Origin = 'own' | 'watch';

/** `current` is undefined when deleted, `previous` when added. */
export type StoreChange<T> = [
  key: string,
  change: Change,
  current: T | undefined,
  previous: T | undefined,
  origin: Origin,
];

/** Called synchronously after each change. */
export type StoreListener<T> = (...change: StoreChange<T>) => void;

export interface StoreReader<T> {
  get(key: string): T | undefined;
  /** The resourceVersion of the entry as a number; undefined without an entry. */
  versionAt(key: string): number | undefined;
  keys(): IterableIterator<string>;
  values(): IterableIterator<T>;
  readonly size: number;
  /** Returns the way to unsubscribe. Listeners must not throw. */
  subscribe(listener: StoreListener<T>): () => void;
}

export interface Store<T> extends StoreReader<T> {
  /** An own write (or a fresh read) returned this object. The newer resourceVersion wins. */
  put(raw: KubeObject): void;
  /** An own write took the object out of the selection, or deleted it, at this resourceVersion. */
  drop(key: string, resourceVersion: string | number): void;
  /** How a reflector feeds the store. */
  feed: StoreFeed;
}

/** `scope` is the namespace that a reflector watches; '' is all of them. */
export interface StoreFeed {
  upsert(raw: KubeObject): void;
  remove(raw: KubeObject): void;
  /** The watch has told everything of this scope up to this version. */
  passed(scope: string, version: number): void;
  /** A bookmark or list: as `passed`, and floors that lie behind are forgotten. */
  settled(scope: string, version: number): void;
  /** A list begins; its items follow by `upsert`. `version` is that of the list, where it is known before its items. */
  beginReplace(scope: string, version?: number): void;
  /** The list is complete: what it did not name and is not newer than it is deleted. */
  endReplace(scope: string, version: number): void;
}

interface Entry<T> {
  value: T;
  version: number;
  /** Number of the list that was under way when a reflector last saw the entry; own writes do not count. */
  round: number;
}

interface State<T> {
  entries: Map<string, Entry<T>>;
  floors: Map<string, number>;
  progress: Map<string, number>;
  listeners: Set<StoreListener<T>>;
  /** Lists begun so far, and for each scope the number of the one under way. Lists of several scopes may overlap. */
  round: number;
  rounds: Map<string, number>;
}

export interface StoreOptions<T> {
  /** Keeps only what decisions need. The result is frozen, deeply. */
  project(raw: KubeObject): T;
}

export function createStore<T>(options: StoreOptions<T>): Store<T> {
  const state: State<T> = {
    entries: new Map(),
    floors: new Map(),
    progress: new Map(),
    listeners: new Set(),
    round: 0,
    rounds: new Map(),
  };
  const project = (raw: KubeObject) => freezeDeeply(options.project(raw));
  return {
    get: (key) => state.entries.get(key)?.value,
    versionAt: (key) => state.entries.get(key)?.version,
    keys: () => state.entries.keys(),
    values: () => state.entries.values().map((entry) => entry.value),
    get size() {
      return state.entries.size;
    },
    subscribe(listener) {
      state.listeners.add(listener);
      return () => state.listeners.delete(listener);
    },
    put(raw) {
      const key = keyOf(raw.metadata);
      // The watch has been here already and holds no such object: it is deleted or out of the selection.
      if (!state.entries.has(key) && versionOf(raw) <= progressAt(state, key)) return;
      upsert(state, raw, { project, round: -1, origin: 'own' });
    },
    drop(key, resourceVersion) {
      const version = Number(resourceVersion);
      if (version > progressAt(state, key)) raiseFloor(state, key, version);
      removeUpTo(state, key, version, 'own');
    },
    feed: createFeed(state, project),
  };
}

function createFeed<T>(state: State<T>, project: (raw: KubeObject) => T): StoreFeed {
  const settled = (scope: string, version: number) => {
    passed(state, scope, version);
    for (const [key, floor] of state.floors) {
      if (floor <= version && isInScope(key, scope)) state.floors.delete(key);
    }
  };
  return {
    upsert: (raw) => upsert(state, raw, { project, round: state.round, origin: 'watch' }),
    remove(raw) {
      const key = keyOf(raw.metadata);
      const version = versionOf(raw);
      removeUpTo(state, key, version, 'watch');
      if ((state.floors.get(key) ?? Infinity) <= version) state.floors.delete(key);
    },
    passed: (scope, version) => passed(state, scope, version),
    settled,
    beginReplace(scope, version) {
      state.rounds.set(scope, ++state.round);
      if (version !== undefined && version < (state.progress.get(scope) ?? -1)) forgetVersions(state, scope, version);
    },
    endReplace(scope, version) {
      const begun = state.rounds.get(scope);
      // Without its beginning a list would delete what it did not name.
      if (begun === undefined) throw new Error(`store: a list of "${scope}" ended that had not begun`);
      state.rounds.delete(scope);
      for (const [key, entry] of state.entries) {
        const isMissing = entry.round < begun && entry.version <= version && isInScope(key, scope);
        if (isMissing) remove(state, key, entry, 'watch');
      }
      settled(scope, version);
    },
  };
}

interface Arrival<T> {
  project(raw: KubeObject): T;
  round: number;
  origin: Origin;
}

function upsert<T>(state: State<T>, raw: KubeObject, arrival: Arrival<T>): void {
  const key = keyOf(raw.metadata);
  const version = versionOf(raw);
  const entry = state.entries.get(key);
  if (entry !== undefined && arrival.round > entry.round) entry.round = arrival.round;
  if (version <= (entry?.version ?? state.floors.get(key) ?? -1)) return;
  const value = arrival.project(raw);
  const { origin } = arrival;
  state.floors.delete(key);
  if (entry === undefined) {
    state.entries.set(key, { value, version, round: arrival.round });
    notify(state, { key, change: 'added', current: value, previous: undefined, origin });
    return;
  }
  const previous = entry.value;
  entry.value = value;
  entry.version = version;
  notify(state, { key, change: 'updated', current: value, previous, origin });
}

function removeUpTo<T>(state: State<T>, key: string, version: number, origin: Origin): void {
  const entry = state.entries.get(key);
  if (entry !== undefined && entry.version <= version) remove(state, key, entry, origin);
}

function remove<T>(state: State<T>, key: string, entry: Entry<T>, origin: Origin): void {
  state.entries.delete(key);
  notify(state, { key, change: 'deleted', current: undefined, previous: entry.value, origin });
}

function raiseFloor<T>(state: State<T>, key: string, version: number): void {
  if (version > (state.floors.get(key) ?? -1)) state.floors.set(key, version);
}

function passed<T>(state: State<T>, scope: string, version: number): void {
  if (version > (state.progress.get(scope) ?? -1)) state.progress.set(scope, version);
}

function progressAt<T>(state: State<T>, key: string): number {
  return state.progress.get('') ?? state.progress.get(key.slice(0, key.indexOf('/'))) ?? -1;
}

function isInScope(key: string, scope: string): boolean {
  return scope === '' || (key.startsWith(scope) && key[scope.length] === '/');
}

/** The storage went back in time (restored from a backup): versions of before mean nothing any more. */
function forgetVersions<T>(state: State<T>, scope: string, version: number): void {
  state.progress.set(scope, version);
  for (const [key, entry] of state.entries) if (isInScope(key, scope)) entry.version = -1;
  for (const key of state.floors.keys()) if (isInScope(key, scope)) state.floors.delete(key);
}

interface Notice<T> {
  key: string;
  change: Change;
  current: T | undefined;
  previous: T | undefined;
  origin: Origin;
}

function notify<T>(state: State<T>, notice: Notice<T>): void {
  const { key, change, current, previous, origin } = notice;
  for (const listener of state.listeners) listener(key, change, current, previous, origin);
}

function freezeDeeply<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const field of Object.values(value)) freezeDeeply(field);
  return value;
}
