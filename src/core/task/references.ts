/**
 * Which Secrets a task may name. Whoever may create tasks need not be allowed to read Secrets, and the content of what
 * a task names goes to the provider: so identities, certificates, releases and what its owner keeps private are refused,
 * by what the Secret says of itself. Asked for every Secret that a task names, before its content is looked at.
 */
import { PRIVATE_ANNOTATION } from '../../api/names.ts';

interface SecretHead {
  type?: string;
  metadata: { name: string; annotations?: Record<string, string> };
}

const REFUSED_TYPES = /^(kubernetes\.io\/|bootstrap\.kubernetes\.io\/token$|helm\.sh\/)/;
const WHY = 'tasks may not name it, because what they name is sent to the provider.';

/** Why tasks may not name this Secret: stable text for a condition. Undefined where they may. */
export function refusedReference({ type = '', metadata }: SecretHead): string | undefined {
  const { name, annotations = {} } = metadata;
  if (REFUSED_TYPES.test(type)) return `Secret "${name}" is of type ${type.slice(0, 100)}: ${WHY}`;
  if (PRIVATE_ANNOTATION in annotations) return `Secret "${name}" is annotated ${PRIVATE_ANNOTATION}: ${WHY}`;
  return undefined;
}
