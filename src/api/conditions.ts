/** The Kubernetes condition as our CRDs carry it (metav1.Condition). */
export type ConditionStatus = 'True' | 'False' | 'Unknown';

export interface Condition {
  type: string;
  status: ConditionStatus;
  /** RFC 3339, whole seconds; moves only when `status` does. */
  lastTransitionTime: string;
  observedGeneration?: number;
  /** From a closed list (`names.ts`). */
  reason: string;
  /** Stable text: no ids, no clock times, no counters. */
  message: string;
}

/** What every object of ours carries of metav1.ObjectMeta. */
export interface ObjectMeta {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  annotations?: Record<string, string>;
  labels?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  /** Who wrote which fields; only who is looked at. */
  managedFields?: { manager?: string }[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

/** The identity of one object: a name alone may belong to a recreated one. */
export interface ObjectRef {
  namespace: string;
  name: string;
  uid: string;
}
