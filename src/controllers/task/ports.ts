/**
 * What the task controller is given: the outside world, and the words of its wiring. Only types; `bin/operator` fills
 * them in, tests fill them with counterparts on a loopback socket.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ObjectRef } from '../../api/conditions.ts';
import type { Admission } from '../../core/task/admit.ts';
import type { LetterView } from '../../core/task/facts.ts';
import type { Place } from '../../core/journal/protocols.ts';
import type { TaskPolicy } from '../../core/task/policy.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Lease } from '../../kube/lease.ts';
import type { Reflector, ReflectorHooks } from '../../kube/reflector.ts';
import type { Logger } from '../../ops/log.ts';
import type { Metrics } from '../../ops/metrics.ts';
import type { ProviderClient } from '../../provider/client.ts';

export type Leadership = Pick<Lease, 'isLeader' | 'wasTaken' | 'onChange'>;
export type TaskMeters = Pick<Metrics, 'inc' | 'observe' | 'gauge'>;

/** The letters as the dead-letter controller's cache has them. */
export interface LetterLookup {
  /** `absent` proves nothing. */
  lookup(namespace: string, name: string): LetterView;
}

export interface TaskControllerOptions {
  client: KubeClient;
  /** Namespaces to watch; all where absent. */
  namespaces?: readonly string[] | undefined;
  /** Who may act; always this process where leader election is off. */
  leadership: Leadership;
  provider: Pick<ProviderClient, 'submit' | 'poll' | 'threads'>;
  metrics: TaskMeters;
  log: Logger;
  events: Pick<EventRecorder, 'record'>;
  policy: TaskPolicy;
  /** Unique for each process, also after a restart: begins the name of every intent, and holds the journal. */
  identity: string;
  /** Where the intent journal is. */
  journal: Place;
  /** The operator's own API key, for tasks that bring none. */
  ownKey?: { file: string } | { value: string } | undefined;
  letters: LetterLookup;
  /** The pingback URL of one attempt; undefined where none can be sent. Absent: every task is polled. */
  mintPingback?: ((task: ObjectRef, attempt: number) => string | undefined) | undefined;
  watchHooks?: ReflectorHooks | undefined;
  clock?: TaskClock;
  /** Its places, turns and permits, for tests. */
  admission?: Admission;
}

/** Time and chance, for tests. */
export interface TaskClock {
  /** Epoch milliseconds. */
  now(): number;
  monotonicMs(): number;
  random(): number;
}

export interface TaskController {
  /** All unfinished tasks are known. Never rejects. */
  synced: Promise<void>;
  /** Looks at a task again now (its letter changed, say). */
  wake(namespace: string, name: string): void;
  /** One for each watched namespace, or one for all. */
  watches(): readonly Reflector[];
  /** The cached copy of an unfinished task. */
  task(namespace: string, name: string): CaptchaTask | undefined;
  /**
   * Starts nothing any more, reads and records the replies of calls already sent for at most `drainMs`, and ends.
   * Resolves with the number of calls or results that were still open then.
   */
  stop(options: { drainMs: number }): Promise<number>;
}
