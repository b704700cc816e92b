/**
 * The thread pool of an account. A task holds a thread from its start to its end; when all are busy, a submission is
 * refused, or (switch `poolFull`) accepted and left waiting without a word. Threads that other programs use on the same
 * key are the account's `workingElsewhere`.
 */
import { accountOf, type AccountState, type State, type Task } from './state.ts';

/** The refusing word, where the account cannot take another task now. */
export function refuseBusy(state: State, key: string): string | undefined {
  const account = accountOf(state, key);
  // A plan that has ended says the same word as a full pool; only the thread counts tell them apart.
  if (account.state === 'expired') return 'ERROR_ZERO_BALANCE';
  if (!isFull(account)) return undefined;
  const word = account.busyCode ?? state.switches.poolFull;
  return word === 'queue' ? undefined : word;
}

/** Threads in use, by whomever; what `threadsinfo` says. */
export const workingThreads = (account: AccountState): number => account.working + account.workingElsewhere;

function isFull(account: AccountState): boolean {
  return account.threads > 0 && workingThreads(account) >= account.threads;
}

/** Runs `start` once the task has a thread: now, or when those before it in the queue had theirs. */
export function takeThread(state: State, task: Task, start: () => void): void {
  const account = accountOf(state, task.key);
  if (isFull(account)) {
    account.queue.push({ task, start });
    return;
  }
  hold(account, task);
  start();
}

function hold(account: AccountState, task: Task): void {
  task.holdsThread = true;
  account.working += 1;
}

export function releaseThread(state: State, task: Task): void {
  if (!task.holdsThread) return;
  task.holdsThread = false;
  const account = accountOf(state, task.key);
  account.working -= 1;
  startWaiting(account);
}

/** Starts what waits, as far as there are threads; also called when an account got more of them. */
export function startWaiting(account: AccountState): void {
  while (account.queue.length > 0 && !isFull(account)) {
    const next = account.queue.shift();
    if (next === undefined) return;
    hold(account, next.task);
    next.start();
  }
}
