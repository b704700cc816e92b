/**
 * What is known of each watched namespace by itself: since when all of its unfinished tasks are known, and how long it
 * has been watched without interruption. A namespace that may not be listed or watched, or is slow, stops itself and
 * no other. Decides nothing about tasks; filled by `index`, asked by whoever acts on a task.
 */
import type { Reflector } from '../../kube/reflector.ts';

/** One namespace, or all of them. */
interface Scope {
  reflector: Reflector;
  knownSinceMono: number | undefined;
}

export interface Scopes {
  add(reflector: Reflector, onKnown: () => void): void;
  /** Monotonic instant since which all unfinished tasks of this namespace are known; undefined before. */
  knownSinceMono(namespace: string): number | undefined;
  /** How long this namespace has been watched without interruption; 0 while it is not. */
  watchedMs(namespace: string): number;
  reflectors(): Reflector[];
}

export function createScopes(monotonicMs: () => number): Scopes {
  const scopes = new Map<string, Scope>();
  const of = (namespace: string) => scopes.get(namespace) ?? scopes.get('');
  return {
    add(reflector, onKnown) {
      const scope: Scope = { reflector, knownSinceMono: undefined };
      scopes.set(reflector.namespace ?? '', scope);
      void known();

      async function known(): Promise<void> {
        await reflector.synced;
        scope.knownSinceMono = monotonicMs();
        onKnown();
      }
    },
    knownSinceMono: (namespace) => of(namespace)?.knownSinceMono,
    watchedMs(namespace) {
      const sinceMs = of(namespace)?.reflector.watchingSinceMs();
      return sinceMs === undefined ? 0 : monotonicMs() - sinceMs;
    },
    reflectors: () => Array.from(scopes.values(), ({ reflector }) => reflector),
  };
}
