/** Wires the dead-letter controller: its cache, its right to act, and what it and the task controller tell each other. */
import type { LetterLookup, Leadership, TaskController } from '../../controllers/task/ports.ts';
import { createLetterStore, startDeadLetterController } from '../../controllers/deadletter/index.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { startReflector, type Reflector } from '../../kube/reflector.ts';
import { splitKey } from '../../kube/types.ts';
import { DEAD_LETTER } from '../../api/names.ts';
import type { OperatorParts } from './parts.ts';

export interface Letters {
  lookup: LetterLookup;
  /** From now on a task is woken when a letter of its own changes. */
  connect(tasks: Pick<TaskController, 'wake'>): void;
  watches(): readonly Reflector[];
}

export function startLetters(parts: OperatorParts, leadership: Leadership, events: EventRecorder): Letters {
  const { client, config, lifecycle, log, metrics } = parts;
  const store = createLetterStore();
  let tasks: Pick<TaskController, 'wake'> | undefined;
  const controller = startDeadLetterController({
    client,
    store,
    policy: {
      retryMinMs: config.deadLetterRetryMinMs,
      retryMaxMs: config.deadLetterRetryMaxMs,
      maxAttempts: config.deadLetterMaxAttempts,
      ttlMs: config.deadLetterTtlMs,
    },
    mayAct: () => leadership.isLeader() && !lifecycle.signal.aborted,
    clock: { now: () => Date.now(), monotonicMs: () => performance.now(), random: () => Math.random() },
    metrics,
    log,
    events,
    onLetter: (taskKey) => {
      const { namespace, name } = splitKey(taskKey);
      tasks?.wake(namespace, name);
    },
  });
  leadership.onChange(() => controller.actingChanged());
  const reflectors = startReflectors(parts, store);
  lifecycle.onStop('dead-letter watches', 2_000, () => Promise.all(reflectors.map((reflector) => reflector.stop())));
  lifecycle.onStop('dead-letter controller', 12_000, () => controller.stop({ drainMs: 10_000 }));
  return {
    lookup: { lookup: (namespace, name) => controller.lookup(namespace, name), find: controller.find },
    connect: (next) => {
      tasks = next;
    },
    watches: () => reflectors,
  };
}

function startReflectors(
  { client, config, watchHooks }: OperatorParts,
  store: ReturnType<typeof createLetterStore>,
): Reflector[] {
  const namespaces = config.watchNamespaces ?? [undefined];
  return namespaces.map((namespace) =>
    startReflector({ client, resource: DEAD_LETTER, namespace, store, hooks: watchHooks }),
  );
}
