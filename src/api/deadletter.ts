/** DeadLetter as TypeScript sees it. Spec and status are generated from `crds/deadletter.yaml`. */
import type { Condition, ObjectMeta } from './conditions.ts';
import type { LetterErrorClass, LetterPhase, LetterStage } from './names.ts';

export interface LetterError {
  class: LetterErrorClass;
  message: string;
}

export interface DeadLetterSpec {
  taskRef: { name: string; uid: string };
  attempt: number;
  captchaID: string;
  stage: LetterStage;
  source: 'Callback' | 'Poll';
  payload: { code: string; userAgent?: string };
  error: LetterError;
  receivedTime: string;
  contentExpiresTime?: string;
}

export interface DeadLetterStatus {
  phase?: LetterPhase;
  attempts?: number;
  nextRetryTime?: string;
  lastError?: LetterError;
  completionTime?: string;
  redrives?: number;
  lastRedrive?: { value: string; time: string };
  conditions?: Condition[];
}

export interface DeadLetter {
  apiVersion: string;
  kind: 'DeadLetter';
  metadata: ObjectMeta;
  spec: DeadLetterSpec;
  status?: DeadLetterStatus;
}
