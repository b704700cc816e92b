/**
 * What the controller keeps of a letter: everything but the payload, which holds a solution and may be large, and the
 * metadata that nobody here reads. Filled by the reflector over all letters, ended ones included (they are few, and
 * their time to live is ours to watch).
 */
import type { DeadLetter } from '../../api/deadletter.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { Store } from '../../kube/store.ts';
import { RETRY_ANNOTATION } from '../../api/names.ts';
import { withoutPayload } from '../../core/deadletter/facts.ts';
import { createStore } from '../../kube/store.ts';

export function createLetterStore(): Store<Letter> {
  return createStore({ project: projectLetter });
}

export function projectLetter(raw: KubeObject): Letter {
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
