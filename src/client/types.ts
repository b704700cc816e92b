/**
 * The words of the package: what its calls take and what they answer. Types only, and none of `kube/`: whoever compiles
 * against the package needs neither its libraries' types nor Node's.
 */
import type { Captcha, CaptchaTask, CaptchaTaskSpec } from '../api/captchatask.ts';
import type { OwnerReference } from '../api/conditions.ts';
import type { FailedReason } from '../api/names.ts';

export interface TaskClientOptions {
  /**
   * A kubeconfig file, or several as in `KUBECONFIG`. Without it: what the environment's `KUBECONFIG` names, else the
   * pod's ServiceAccount (`KUBERNETES_SERVICE_HOST` is set in every pod), else `~/.kube/config`.
   */
  kubeconfigPath?: string | undefined;
  /** Another context of the kubeconfig than its current one. */
  context?: string | undefined;
  /** Where the pod's ServiceAccount is mounted, if not at the usual place. */
  serviceAccountDirectory?: string | undefined;
  /** Instead of the process's environment; plugins that a kubeconfig names are run with it. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Names your program in the API server's logs. */
  userAgent: string;
}

/** What a caller writes; the API server fills in the defaults. Deterministic names make creation repeatable. */
export interface NewTask {
  metadata: {
    name: string;
    namespace: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    /** The object that the task belongs to; it goes when its owner goes. */
    ownerReferences?: OwnerReference[];
  };
  spec: { captcha: Captcha } & Partial<Omit<CaptchaTaskSpec, 'captcha'>>;
}

export interface CallLimits {
  /** Ends the call early. */
  signal?: AbortSignal;
  /** Milliseconds; 30 s by default. */
  timeoutMs?: number;
}

/** `onChange`: with every state of the task that is seen while it is waited for, the first one included. */
export interface WaitLimits extends CallLimits {
  onChange?: (task: CaptchaTask) => void;
}

export type Found = { kind: 'found'; task: CaptchaTask } | { kind: 'gone' } | Refused;

/** The API server said no, or nothing could be reached until the deadline (status 0). */
export interface Refused {
  kind: 'refused';
  status: number;
  reason: string;
  message: string;
}

export type Created =
  | { kind: 'created'; task: CaptchaTask }
  /** A task of this name with the same `captcha` is there already, perhaps from an earlier try of ours. */
  | { kind: 'existing'; task: CaptchaTask }
  /** The name is taken by a task for another captcha. */
  | { kind: 'taken'; task: CaptchaTask }
  | Refused;

export type Deleted = { kind: 'deleted' } | { kind: 'gone' } | Refused;

export interface SolvedValue {
  /** Text, or compact JSON for object and list results. */
  value: string;
  /** The agent that a challenge cookie is bound to. */
  userAgent?: string;
  /** RFC 3339: until then the site certainly takes it. Absent where the type has no known lifetime; may be over. */
  freshUntilTime?: string;
  /**
   * For how many milliseconds from now on, by this machine's clock, the site certainly takes it; 0: perhaps it does no
   * more, so create a new task. Absent with `freshUntilTime`.
   */
  freshForMs?: number;
  /** RFC 3339: after it the site certainly does not take it any more. Absent where the type has no known lifetime. */
  expiresTime?: string;
}

export type Waited =
  | { kind: 'solved'; task: CaptchaTask; solution: SolvedValue }
  | { kind: 'failed'; task: CaptchaTask; reason: FailedReason; message: string }
  /** Deleted, or recreated under the same name. */
  | { kind: 'gone' }
  /** `task` is what was last seen of it; it goes on without us. */
  | { kind: 'timedOut'; task?: CaptchaTask }
  | { kind: 'aborted' }
  | Refused;
