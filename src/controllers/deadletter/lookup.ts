/**
 * What the task controller asks about letters: the cache's view of the one that a mark names, and, before it believes
 * that a letter is gone, the API server itself. Decides nothing.
 */
import type { DeadLetter } from '../../api/deadletter.ts';
import type { LetterPhase } from '../../api/names.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { StoreReader } from '../../kube/store.ts';
import { DEAD_LETTER } from '../../api/names.ts';
import { phaseOf } from '../../core/deadletter/facts.ts';

export type LetterView = { state: 'absent' } | { state: 'present'; phase: LetterPhase };

/** From the cache, which may lag: `absent` proves nothing. */
export function lookupLetter(store: StoreReader<Letter>, namespace: string, name: string): LetterView {
  const letter = store.get(`${namespace}/${name}`);
  return letter === undefined ? { state: 'absent' } : { state: 'present', phase: phaseOf(letter) };
}

/**
 * Whether a letter holds this task, by quorum reads: the one that its mark names, or any other of the same task that
 * is pending or abandoned. `unknown`: the API server could not be asked; never to be read as absent.
 */
export async function findLetter(
  client: Pick<KubeClient, 'execute' | 'list'>,
  task: { namespace: string; name: string; uid: string },
  letter: string,
): Promise<'present' | 'absent' | 'unknown'> {
  const { namespace } = task;
  const found = await client.execute({ verb: 'get', resource: DEAD_LETTER, namespace, name: letter, read: 'quorum' });
  if (found.ok && (found.object as DeadLetter).spec.taskRef.uid === task.uid) return 'present';
  if (!found.ok && (found.status !== 404 || found.transient)) return 'unknown';
  const listed = await client.list(DEAD_LETTER, { namespace, fieldSelector: `spec.taskRef.name=${task.name}` });
  if (!listed.ok || listed.continue !== undefined) return 'unknown';
  return listed.items.some((item) => holds(item as unknown as DeadLetter, task.uid)) ? 'present' : 'absent';
}

function holds(letter: DeadLetter, taskUID: string): boolean {
  const phase = phaseOf(letter);
  return letter.spec.taskRef.uid === taskUID && (phase === 'Pending' || phase === 'Abandoned');
}
