/**
 * Tasks that are proved to be gone, by uid. Tokens never expire, so whoever kept a callback URL could make the sidecar
 * ask the Kubernetes API for ever about a task that is not there any more; a uid never comes back. Bounded: the ones
 * that nobody asks for leave first. Used by the intake.
 */
import type { CallbackVerdict } from '../core/callback/callback.ts';

type Late = Extract<CallbackVerdict, { kind: 'late' }>;

export interface GoneTasks {
  note(uid: string, verdict: CallbackVerdict): void;
  /** What a callback for this task comes to, where that is known without asking. */
  verdictFor(uid: string): Late | undefined;
}

export function createGoneTasks(maxTasks: number): GoneTasks {
  const gone = new Map<string, Late>();
  const put = (uid: string, verdict: Late): void => {
    gone.delete(uid);
    gone.set(uid, verdict);
    if (gone.size > maxTasks) gone.delete(gone.keys().next().value!);
  };
  return {
    note(uid, verdict) {
      // Of a finished task a repeat is a duplicate and another code a conflict; only reading it can tell.
      if (verdict.kind === 'late' && (verdict.why === 'gone' || verdict.why === 'recreated')) put(uid, verdict);
    },
    verdictFor(uid) {
      const verdict = gone.get(uid);
      if (verdict !== undefined) put(uid, verdict);
      return verdict;
    },
  };
}
