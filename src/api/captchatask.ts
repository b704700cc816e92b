/** CaptchaTask as TypeScript sees it. Spec and status are generated from `crds/captchatask.yaml`. */
import type { Condition, ObjectMeta } from './conditions.ts';
import type { CaptchaType, FailureClass, ResultSource, TaskPhase } from './names.ts';

export interface SecretKeyRef {
  name: string;
  key: string;
}
export interface ImageSource {
  configMapKeyRef?: { name: string; key: string };
  secretKeyRef?: SecretKeyRef;
}
export interface Captcha {
  type: CaptchaType;
  recaptchaV2?: {
    siteKey: string;
    pageURL: string;
    invisible?: boolean;
    enterprise?: boolean;
    action?: string;
    dataS?: string;
    domain?: string;
    cookies?: string;
    userAgent?: string;
  };
  recaptchaV3?: { siteKey: string; pageURL: string; action?: string; minScore?: string; enterprise?: boolean };
  turnstile?: {
    siteKey: string;
    pageURL: string;
    action?: string;
    data?: string;
    pageData?: string;
    userAgent?: string;
  };
  cloudflareChallenge?: { pageURL: string; userAgent?: string };
  geeTestV3?: { gt: string; challenge: string; pageURL: string; apiServer?: string };
  geeTestV4?: { captchaID: string; pageURL: string };
  image?: {
    body?: string;
    bodyFrom?: ImageSource;
    numeric?: number;
    minLength?: number;
    maxLength?: number;
    phrase?: boolean;
    caseSensitive?: boolean;
    math?: boolean;
    language?: string;
    instructions?: string;
  };
  grid?: {
    body?: string;
    bodyFrom?: ImageSource;
    rows?: number;
    columns?: number;
    instructions?: string;
    previousID?: string;
  };
  bls?: { instructions: string; images: string[] };
  custom?: { method: string; parameters?: Record<string, string> };
}

export interface CaptchaTaskSpec {
  captcha: Captcha;
  /** Defaulted by the schema: delivery Callback, callbackTimeoutSeconds 120, activeDeadlineSeconds 600, backoffLimit 0, suspend false. */
  delivery: 'Callback' | 'Poll';
  callbackTimeoutSeconds: number;
  activeDeadlineSeconds: number;
  backoffLimit: number;
  ttlSecondsAfterFinished?: number;
  suspend: boolean;
  apiKeySecretRef?: SecretKeyRef;
  proxy?: { type: 'HTTP' | 'HTTPS' | 'SOCKS4' | 'SOCKS5'; secretRef: SecretKeyRef };
  solutionSecretName?: string;
}

export interface Submission {
  attempt: number;
  intentTime: string;
  intentBy: string;
  /** Whether a pingback URL went with it (or would have). */
  pingback: boolean;
  submittedTime?: string;
  captchaID?: string;
  pollAfterTime?: string;
  /** The attempt ended without a result; `code` says why. */
  endTime?: string;
  code?: string;
}

export interface Solution {
  value?: string;
  secretRef?: { name: string };
  userAgent?: string;
  source: ResultSource;
  attempt: number;
  captchaID?: string;
  receivedTime: string;
  expiresTime?: string;
}

export interface DeadLetterMark {
  name: string;
  time: string;
  confirmed?: boolean;
}

export interface CaptchaTaskStatus {
  observedGeneration?: number;
  phase?: TaskPhase;
  startTime?: string;
  completionTime?: string;
  attempts?: number;
  unknownSubmissions?: number;
  submission?: Submission;
  solution?: Solution;
  failure?: { class: FailureClass; code?: string; message: string };
  deadLetter?: DeadLetterMark;
  conditions?: Condition[];
}

export interface CaptchaTask {
  apiVersion: string;
  kind: 'CaptchaTask';
  metadata: ObjectMeta;
  spec: CaptchaTaskSpec;
  status?: CaptchaTaskStatus;
}
