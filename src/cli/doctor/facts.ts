/**
 * What `doctor` looks at, as values: each thing that was read, or why it was not. No Secret's value is among them. `read.ts`
 * fills them in, the findings judge them.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { Condition } from '../../api/conditions.ts';
import type { DeadLetter } from '../../api/deadletter.ts';

/** `hidden`: the caller may not look. `trouble`: it should be there to look at, and was not. */
export type Seen<T> =
  | { kind: 'seen'; value: T }
  | { kind: 'absent' }
  | { kind: 'hidden'; why: string }
  | { kind: 'trouble'; why: string };

export interface Definition {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { versions: { name: string; served: boolean; schema?: { openAPIV3Schema?: object } }[] };
  status?: { conditions?: Pick<Condition, 'type' | 'status' | 'message'>[] };
}

export interface Container {
  name: string;
  env?: { name: string; value?: string }[];
  envFrom?: { configMapRef?: { name: string } }[];
}

/** A Deployment, or the StatefulSet of the overlay durable-spool. */
export interface Deployment {
  kind?: string;
  metadata: { name: string; generation?: number };
  spec: {
    replicas?: number;
    template: {
      spec: {
        serviceAccountName?: string;
        containers: Container[];
        volumes?: { name: string; secret?: { secretName?: string } }[];
      };
    };
  };
  status?: { readyReplicas?: number; observedGeneration?: number };
}

export interface ContainerState {
  waiting?: { reason?: string };
  terminated?: { reason?: string; exitCode?: number };
}

export interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
}

export interface Pod {
  metadata: { name: string };
  spec?: { containers?: { name: string }[] };
  status?: {
    phase?: string;
    conditions?: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[];
    containerStatuses?: ContainerStatus[];
  };
}

export interface LeaseObject {
  spec?: { holderIdentity?: string | null; renewTime?: string | null; leaseDurationSeconds?: number | null };
}

/** Of a Secret: that it is there, its annotations, and the names of what is in it where the API server tells. */
export interface SecretFacts {
  isPrivate: boolean;
  keys: readonly string[] | undefined;
}

/** One thing somebody may do or not; `namespace` empty: anywhere. */
export interface Right {
  verb: string;
  resource: string;
  namespace: string;
  allowed: boolean;
}

/** What the callback URL answered to a token that nobody minted. */
export interface CallbackAnswer {
  status: number;
  hasBody: boolean;
}

export interface Facts {
  /** Where the operator is looked for, and where tasks and letters are; undefined: everywhere. */
  systemNamespace: string;
  namespace: string | undefined;
  definitions: Readonly<Record<'captchatasks' | 'deadletters', Seen<Definition>>>;
  deployment: Seen<Deployment>;
  gateway: Seen<Deployment>;
  pods: Seen<Pod[]>;
  lease: Seen<LeaseObject>;
  /** The operator's environment, as far as it stands in the Deployment and its ConfigMap. */
  settings: Seen<Readonly<Record<string, string>>>;
  callbackKeys: Seen<SecretFacts>;
  providerKey: Seen<SecretFacts>;
  gatewayKeys: Seen<SecretFacts>;
  mine: readonly Right[];
  operators: Seen<readonly Right[]>;
  /** Absent: there is no URL, or it was not to be asked. */
  callback: Seen<CallbackAnswer>;
  tasks: Seen<CaptchaTask[]>;
  letters: Seen<DeadLetter[]>;
}

/**
 * `fault`: work is not done, or will not be. `warning`: it is done, and something will bite. `unseen`: the caller could
 * not look, so nothing is said about it. `fine`: looked at, nothing wrong.
 */
export interface Finding {
  id: string;
  level: 'fault' | 'warning' | 'unseen' | 'fine';
  says: string;
  /** What to do about it. */
  cure?: string;
  /** A page of docs/runbooks, without `.md`. */
  runbook?: string;
}

/** The finding for what is not `seen`, and for a value what `judge` says, or that it is fine. */
export function judged<T>(
  seen: Seen<T>,
  what: { id: string; name: string; absent?: Finding },
  judge: (value: T) => Finding[],
): Finding[] {
  const { id, name, absent } = what;
  if (seen.kind === 'absent') return absent === undefined ? [] : [absent];
  if (seen.kind !== 'seen') {
    const says =
      seen.kind === 'hidden' ? `You may not see ${name}: ${seen.why}` : `${name} could not be read: ${seen.why}`;
    return [{ id, level: 'unseen', says }];
  }
  const found = judge(seen.value);
  return found.length > 0 ? found : [{ id, level: 'fine', says: `${name}: nothing wrong` }];
}
