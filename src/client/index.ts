/**
 * The package `captcha-operator/client`: create a CaptchaTask, wait until it is solved, delete it. For programs that
 * need a solution and for controllers that build on tasks as they build on Jobs. It keeps no cache and runs no loop of
 * its own; what the cluster can answer is returned as a value, so a `switch` over `kind` covers it all.
 * See examples/controller for a controller built on it.
 */
import { homedir } from 'node:os';
import type { CaptchaTask } from '../api/captchatask.ts';
import type { ObjectRef } from '../api/conditions.ts';
import { loadAccess } from '../kube/access.ts';
import { createKubeClient } from '../kube/client.ts';
import { createTask, deleteTask, type CallLimits, type Created, type Deleted, type NewTask } from './tasks.ts';
import { waitForSolved, type Waited } from './wait.ts';

export type { CaptchaTask } from '../api/captchatask.ts';
export type { ObjectRef } from '../api/conditions.ts';
export type { CallLimits, Created, Deleted, NewTask, Refused } from './tasks.ts';
export type { SolvedValue, Waited } from './wait.ts';

export interface TaskClientOptions {
  /** A kubeconfig file. Without one: the pod's ServiceAccount when there is one, else `~/.kube/config`. */
  kubeconfigPath?: string | undefined;
  /** From the pod's environment: `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. */
  serviceHost?: string | undefined;
  servicePort?: string | undefined;
  /** Names your program in the API server's logs. */
  userAgent: string;
}

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
  waitForSolved(task: ObjectRef, limits: CallLimits): Promise<Waited>;
  /** Deletes exactly this task. A submission that was paid for is not refunded by it. */
  delete(task: ObjectRef, limits?: CallLimits): Promise<Deleted>;
  /** Closes the connections; calls under way end as `refused`. */
  close(): Promise<void>;
}

/** Reads credentials, makes no call yet. Throws when no cluster is configured; the text says where it looked. */
export async function createTaskClient(options: TaskClientOptions): Promise<TaskClient> {
  const { kubeconfigPath, serviceHost, servicePort, userAgent } = options;
  const access = await loadAccess({ kubeconfigPath, serviceHost, servicePort, homeDirectory: homedir() });
  const kube = createKubeClient({ access, userAgent });
  return {
    create: (task, limits = {}) => createTask(kube, task, limits),
    waitForSolved: (task, limits) => waitForSolved(kube, task, limits),
    delete: (task, limits = {}) => deleteTask(kube, task, limits),
    close: () => kube.close(),
  };
}

/** The identity of a task, as `waitForSolved` and `delete` take it. */
export function refOf(task: CaptchaTask): ObjectRef {
  const { namespace, name, uid } = task.metadata;
  return { namespace, name, uid };
}
