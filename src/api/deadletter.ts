/**
 * DeadLetter as TypeScript sees it. Spec and status are generated from `crds/deadletter.yaml`; this file gives their
 * parts the names that the rest of the code uses. No logic here.
 */
import type { ObjectMeta } from './conditions.ts';
import type { DeadLetterSpec, DeadLetterStatus } from './generated/deadletter.ts';

export type { DeadLetterSpec, DeadLetterStatus } from './generated/deadletter.ts';

export type LetterError = DeadLetterSpec['error'];

export interface DeadLetter {
  apiVersion: string;
  kind: 'DeadLetter';
  metadata: ObjectMeta;
  spec: DeadLetterSpec;
  status?: DeadLetterStatus;
}
