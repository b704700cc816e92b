/**
 * What is known of letters: the cache, the facts of one letter for `decideLetter`, and the cache's view for the task
 * controller. Decides nothing and changes nothing.
 *
 * The cache keeps everything of a letter but the payload, which holds a solution and may be large, and the metadata
 * that nobody here reads. Ended letters are in it too: they are few, and their time to live is ours to watch.
 */
import type { DeadLetter } from '../../api/deadletter.ts';
import type { Letter, LetterFacts } from '../../core/deadletter/facts.ts';
import type { LetterView } from '../../core/task/facts.ts';
import type { Store, StoreReader } from '../../kube/store.ts';
import type { KubeObject } from '../../kube/types.ts';
import { RETRY_ANNOTATION } from '../../api/names.ts';
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
