/**
 * The package `captcha-operator/client`: create a CaptchaTask, wait until it is solved, delete it. For programs that
 * need a solution and for controllers that build on tasks as they build on Jobs. It keeps no cache and runs no loop of
 * its own; what the cluster can answer is returned as a value, so a `switch` over `kind` covers it all. Where the cluster
 * is it finds out as kubectl does, so it alone of the rooms below `bin` reads the environment.
 * See examples/controller for a controller built on it.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { ObjectRef } from '../api/conditions.ts';
import { openCluster } from './open.ts';
import { createTask, deleteTask, getTask } from './tasks.ts';
import type { CallLimits, Created, Deleted, Found, NewTask, TaskClientOptions, Waited, WaitLimits } from './types.ts';
import { waitForSolved } from './wait.ts';

export type { CaptchaTask } from '../api/captchatask.ts';
export type { ObjectRef } from '../api/conditions.ts';
export type {
  CallLimits,
  Created,
  Deleted,
  Found,
  NewTask,
  Refused,
  SolvedValue,
  TaskClientOptions,
  Waited,
  WaitLimits,
} from './types.ts';

export interface TaskClient {
  /**
   * Creates a task. Safe to repeat: a task of this name with the same `captcha` is returned as `existing`, so a
   * controller that was killed half-way just asks again with the same name. Costs money once the operator sees it.
   */
  create(task: NewTask, limits?: CallLimits): Promise<Created>;
  /**
   * Waits for the end of exactly this task (a recreated one of the same name counts as `gone`). Rides out lost
   * connections and a restarting API server until `timeoutMs` is over or `signal` aborts; neither touches the task.
   * A solution comes with the time for which it is certainly good (`freshForMs`).
   */
  waitForSolved(task: ObjectRef, limits: WaitLimits): Promise<Waited>;
  /** Looks one up by its name. */
  get(task: { namespace: string; name: string }, limits?: CallLimits): Promise<Found>;
  /** Deletes exactly this task. A submission that was paid for is not refunded by it. */
  delete(task: ObjectRef, limits?: CallLimits): Promise<Deleted>;
  /** The namespace of the pod or of the kubeconfig's context, where it names one. */
  readonly namespace: string | undefined;
  /** Closes the connections; calls under way end as `refused`. */
  close(): Promise<void>;
}

/** Reads credentials, makes no call yet. Throws when no cluster is configured; the text says where it looked. */
export async function createTaskClient(options: TaskClientOptions): Promise<TaskClient> {
  const { kube, namespace } = await openCluster({ ...options, environment: options.environment ?? process.env });
  return {
    create: (task, limits = {}) => createTask(kube, task, limits),
    waitForSolved: (task, limits) => waitForSolved(kube, task, limits),
    delete: (task, limits = {}) => deleteTask(kube, task, limits),
    get: (task, limits = {}) => getTask(kube, task, limits),
    namespace,
    close: () => kube.close(),
  };
}

/** The identity of a task, as `waitForSolved` and `delete` take it. */
export function refOf(task: CaptchaTask): ObjectRef {
  const { namespace, name, uid } = task.metadata;
  return { namespace, name, uid };
}
