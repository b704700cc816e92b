/**
 * CaptchaTask as TypeScript sees it, as stored: defaulted fields are always there. Spec and status are generated from
 * `crds/captchatask.yaml`; this file gives their parts the names that the rest of the code uses. No logic here.
 */
import type { ObjectMeta } from './conditions.ts';
import type { CaptchaTaskSpec, CaptchaTaskStatus } from './generated/captchatask.ts';

export type { CaptchaTaskSpec, CaptchaTaskStatus } from './generated/captchatask.ts';

/** The union: `type` names the one member that is set. */
export type Captcha = CaptchaTaskSpec['captcha'];
export type SecretKeyRef = NonNullable<CaptchaTaskSpec['apiKeySecretRef']>;
/** Where a large image is stored; exactly one source is set. */
export type ImageSource = NonNullable<NonNullable<Captcha['image']>['bodyFrom']>;
/** The current or last attempt. */
export type Submission = NonNullable<CaptchaTaskStatus['submission']>;
export type Solution = NonNullable<CaptchaTaskStatus['solution']>;
/** The letter that holds this task's result. */
export type DeadLetterMark = NonNullable<CaptchaTaskStatus['deadLetter']>;

export interface CaptchaTask {
  apiVersion: string;
  kind: 'CaptchaTask';
  metadata: ObjectMeta;
  spec: CaptchaTaskSpec;
  status?: CaptchaTaskStatus;
}
