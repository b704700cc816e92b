/**
 * What is known of each watched namespace by itself: since when all of its unfinished tasks are known, and how long it
 * has been watched without interruption. A namespace that may not be listed or watched, or is slow, stops itself and
 * no other. Decides nothing about tasks; filled by `index`, asked by whoever acts on a task.
 */
import type { Reflector } from '../../kube/reflector.ts';

/** One namespace, or all of them. */
interface Scope {
  reflector: Reflector;
  onKnown: () => void;
  knownSinceMono: number | undefined;
  /** Number of the list that is waited for. */
  round: number;
}

export interface Scopes {
  add(reflector: Reflector, onKnown: () => void): void;
  /** Monotonic instant since which all unfinished tasks of this namespace are known; undefined before. */
  knownSinceMono(namespace: string): number | undefined;
  /** How long this namespace has been watched without interruption; 0 while it is not. */
  watchedMs(namespace: string): number;
  /** Lists every namespace anew; until its list is in the cache, nothing is known of it. */
  relist(): void;
  /** The watch of this namespace has told everything up to this version. */
  hasReached(namespace: string, version: number): boolean;
  reflectors(): Reflector[];
}

export function createScopes(monotonicMs: () => number): Scopes {
  const scopes = new Map<string, Scope>();
  const of = (namespace: string) => scopes.get(namespace) ?? scopes.get('');
  const listed = async (scope: Scope, list: Promise<void>): Promise<void> => {
    const round = (scope.round += 1);
    scope.knownSinceMono = undefined;
    await list;
    if (scope.round !== round) return;
    scope.knownSinceMono = monotonicMs();
    scope.onKnown();
  };
  return {
    add(reflector, onKnown) {
      const scope: Scope = { reflector, onKnown, knownSinceMono: undefined, round: 0 };
      scopes.set(reflector.namespace ?? '', scope);
      void listed(scope, reflector.synced);
    },
    knownSinceMono: (namespace) => of(namespace)?.knownSinceMono,
    watchedMs(namespace) {
      const sinceMs = of(namespace)?.reflector.watchingSinceMs();
      return sinceMs === undefined ? 0 : monotonicMs() - sinceMs;
    },
    relist() {
      for (const scope of scopes.values()) void listed(scope, scope.reflector.relist());
    },
    hasReached: (namespace, version) => (of(namespace)?.reflector.reached() ?? -1) >= version,
    reflectors: () => Array.from(scopes.values(), ({ reflector }) => reflector),
  };
}
