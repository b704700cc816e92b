/**
 * What is known of letters: the cache, the facts of one letter for `decideLetter`, and what the task controller asks
 * about letters: the cache's view, and, before it believes that a letter is gone, the API server itself. Decides
 * nothing and changes nothing.
 *
 * The cache keeps everything of a letter but the payload, which holds a solution and may be large, and the metadata
 * that nobody here reads. Ended letters are in it too: they are few, and their time to live is ours to watch.
 */
import type { DeadLetter } from '../../api/deadletter.ts';
import type { Letter, LetterFacts } from '../../core/deadletter/facts.ts';
import type { LetterView } from '../../core/task/facts.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Store, StoreReader } from '../../kube/store.ts';
import type { KubeObject } from '../../kube/types.ts';
import { DEAD_LETTER, RETRY_ANNOTATION } from '../../api/names.ts';
import { phaseOf, withoutPayload } from '../../core/deadletter/facts.ts';
import { createStore } from '../../kube/store.ts';

export function createLetterStore(): Store<Letter> {
  return createStore({ project: projectLetter });
}

function projectLetter(raw: KubeObject): Letter {
  const letter = withoutPayload(raw as unknown as DeadLetter);
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, annotations } = letter.metadata;
  const retry = annotations?.[RETRY_ANNOTATION];
  return {
    ...letter,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      ...(generation === undefined ? {} : { generation }),
      ...(retry === undefined ? {} : { annotations: { [RETRY_ANNOTATION]: retry } }),
    },
  };
}

/** The key (`namespace/name`) of the task whose result a letter holds. */
export function taskKeyOf(letter: Letter): string {
  return `${letter.metadata.namespace}/${letter.spec.taskRef.name}`;
}

/** Undefined: there is no letter of this key. */
export function gather(
  key: string,
  known: { store: StoreReader<Letter>; mayAct: () => boolean; isBusy: (taskUID: string) => boolean },
): LetterFacts | undefined {
  const letter = known.store.get(key);
  return letter && { letter, mayAct: known.mayAct(), taskBusy: known.isBusy(letter.spec.taskRef.uid) };
}

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
