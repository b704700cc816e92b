/**
 * From a submission to a task: waits for room, chooses the id, creates the task, and answers when it is there. While the
 * Kubernetes API cannot take it the answer is held back for a bounded time, and is "no" then.
 *
 * A create that had no answer is settled by its name before anything else is created. Where it cannot be settled, the
 * client is told "no" and the task is withdrawn, in the background, as soon as the API server answers: the client will
 * submit anew, and nobody would ask for this one. So is the task of a client that left before it was told the id. What
 * is withdrawn is counted, because the operator may have submitted it already.
 */
import { randomInt } from 'node:crypto';
import { placeTask, withdrawTask, type Placed } from '../core/gateway/calls.ts';
import { ID_CHANCE, idOf, taskNameOf } from '../core/gateway/ids.ts';
import type { Refusal, Submission } from '../core/gateway/submission.ts';
import type { KubeClient } from '../kube/client.ts';
import { pause } from '../kube/pause.ts';
import { runProtocol } from '../kube/run.ts';
import { exponentialBackoff } from '../waiting/backoff.ts';
import type { GatewayHooks } from './hooks.ts';
import type { Limits } from './limits.ts';
import type { Rooms } from './rooms.ts';
import type { GatewayTasks } from './tasks.ts';

export type Submitted =
  | { kind: 'accepted'; id: string }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'noSlot' }
  /** Nobody is there to be answered. */
  | { kind: 'left' };

export interface Submissions {
  /** `gone`: the client left. */
  submit(namespace: string, submission: Submission & { ok: true }, gone: AbortSignal): Promise<Submitted>;
  /** Lets nobody wait any longer, and what is being withdrawn have a moment more. */
  stop(graceMs: number): Promise<void>;
}

export interface SubmissionsOptions {
  client: Pick<KubeClient, 'execute'>;
  tasks: Pick<GatewayTasks, 'created'>;
  rooms: Rooms;
  hooks: Pick<GatewayHooks, 'onTrouble' | 'onWithdrawn'>;
  ttlSeconds: number;
  limits: Limits;
}

const BACKOFF = { baseMs: 200, maxMs: 5_000, random: Math.random };

export function createSubmissions(options: SubmissionsOptions): Submissions {
  const { rooms, tasks, limits } = options;
  const stopping = new AbortController();
  const withdrawing = new Set<Promise<void>>();
  const withdraw = (namespace: string, id: string): void => {
    const work = withdrawUntilGone(options, { namespace, name: taskNameOf(id) }, stopping.signal);
    withdrawing.add(work);
    void work.finally(() => withdrawing.delete(work));
  };
  return {
    async submit(namespace, submission, gone) {
      const deadline = AbortSignal.timeout(limits.submitHoldMs);
      const signal = AbortSignal.any([gone, deadline, stopping.signal]);
      const leave = await rooms.enter(namespace, signal);
      if (leave === undefined) return { kind: gone.aborted ? 'left' : 'noSlot' };
      try {
        const { id, placed, mayExist } = await place(options, { namespace, submission }, signal);
        if (placed.kind === 'created') tasks.created(placed.task);
        if (placed.kind === 'created' && !gone.aborted) return { kind: 'accepted', id };
        if (placed.kind === 'created' || mayExist) withdraw(namespace, id);
        if (placed.kind === 'refused') return placed;
        return { kind: gone.aborted ? 'left' : 'noSlot' };
      } finally {
        leave();
      }
    },
    async stop(graceMs) {
      // Those who wait for room or for the API server are answered; what was sent is settled by its own reply.
      setTimeout(() => stopping.abort(), Math.max(0, graceMs - 1_000)).unref();
      await Promise.race([Promise.all(withdrawing), pause(graceMs, undefined)]);
      stopping.abort();
    },
  };
}

interface Wanted {
  namespace: string;
  submission: Submission & { ok: true };
}

/** Tries until there is an answer or the signal aborts. */
async function place(
  { client, hooks, ttlSeconds, limits }: SubmissionsOptions,
  { namespace, submission }: Wanted,
  signal: AbortSignal,
): Promise<{ id: string; placed: Placed; mayExist: boolean }> {
  const backoff = exponentialBackoff(BACKOFF);
  let id = idOf(namespace, randomInt(...ID_CHANCE));
  let mayExist = false;
  for (let tries = 1; ; tries++) {
    const task = { namespace, name: taskNameOf(id), submission, ttlSeconds };
    const protocol = placeTask(task, mayExist);
    const placed: Placed = await runProtocol(client, protocol, { signal, withinMs: limits.callMs });
    if (placed.kind === 'barred') hooks.onTrouble('barred', placed.reason);
    if (placed.kind === 'taken') id = idOf(namespace, randomInt(...ID_CHANCE));
    else if (placed.kind !== 'away') return { id, placed, mayExist };
    else {
      mayExist = placed.mayExist;
      hooks.onTrouble('apiAway', placed.reason);
    }
    if (!(await pause(backoff(tries), signal))) return { id, placed, mayExist };
  }
}

/** Until the API server has said that it is deleted, or for long enough that there is none. */
async function withdrawUntilGone(
  { client, hooks, limits }: SubmissionsOptions,
  { namespace, name }: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<void> {
  const sinceMs = performance.now();
  const backoff = exponentialBackoff(BACKOFF);
  for (let tries = 1; performance.now() - sinceMs < limits.withdrawMs; tries++) {
    const verdict = await runProtocol(client, withdrawTask(namespace, name), { signal, withinMs: limits.callMs });
    if (verdict === 'withdrawn') return hooks.onWithdrawn();
    // A create that was cut off may still be on its way into the storage.
    if (verdict === 'gone' && performance.now() - sinceMs > limits.lateCreateMs) return undefined;
    if (!(await pause(backoff(tries), signal))) return undefined;
  }
  return undefined;
}
