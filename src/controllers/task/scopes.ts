/**
 * What is known of each watched namespace by itself: since when all of its unfinished tasks are known, and how long it
 * has been watched without interruption. A namespace that may not be listed or watched, or is slow, stops itself and
 * no other. Decides nothing about tasks; filled by `index`, asked by whoever acts on a task.
 */
import type { Reflector } from '../../kube/reflector.ts';

/** One namespace, or all of them (`namespace` undefined). */
export interface Scope {
  readonly namespace: string | undefined;
  readonly reflector: Reflector;
}

export interface Scopes {
  add(scope: Scope, onKnown: () => void): void;
  /** Monotonic instant since which all unfinished tasks of this namespace are known; undefined before. */
  knownSinceMono(namespace: string): number | undefined;
  /** How long this namespace has been watched without interruption; 0 while it is not. */
  watchedMs(namespace: string): number;
  all(): Iterable<Scope>;
}

export function createScopes(monotonicMs: () => number): Scopes {
  const scopes = new Map<string, Scope & { knownSinceMono?: number }>();
  const of = (namespace: string) => scopes.get(namespace) ?? scopes.get('');
  return {
    add(scope, onKnown) {
      const held: Scope & { knownSinceMono?: number } = { ...scope };
      scopes.set(scope.namespace ?? '', held);
      void known();

      async function known(): Promise<void> {
        await held.reflector.synced;
        held.knownSinceMono = monotonicMs();
        onKnown();
      }
    },
    knownSinceMono: (namespace) => of(namespace)?.knownSinceMono,
    watchedMs(namespace) {
      const sinceMs = of(namespace)?.reflector.watchingSinceMs();
      return sinceMs === undefined ? 0 : monotonicMs() - sinceMs;
    },
    all: () => scopes.values(),
  };
}
