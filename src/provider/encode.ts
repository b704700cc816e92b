/**
 * A captcha as the body of `in.php`: its fields by the table of methods, the key, the proxy and the pingback URL. Pure,
 * one call per submission.
 *
 * It refuses to repair a task: a captcha whose union member or image is missing has no encoding (the schema prevents
 * the first, reading the image the second). It sends no developer id and nothing of its own beyond `json=1`.
 */
import type { Captcha } from '../api/captchatask.ts';
import { fieldsOf, type Fields } from '../core/methods.ts';

export interface SubmitRequest {
  apiKey: string;
  /** `spec.captcha` of the task. */
  spec: Captcha;
  /** What `bodyFrom` of an Image or Grid resolved to: raw bytes, or base64 text. */
  image?: Uint8Array | string;
  proxy?: { type: string; address: string };
  /** This attempt's callback URL; absent where the task is polled only. */
  pingback?: string;
}

/** The request body (application/x-www-form-urlencoded), or undefined where the task cannot be encoded. */
export function encodeSubmission(request: SubmitRequest): string | undefined {
  const captcha = fieldsOf(request.spec, base64Of(request.image));
  if (captcha === undefined) return undefined;
  return encodeForm({
    key: request.apiKey,
    json: 1,
    ...captcha,
    proxy: request.proxy?.address,
    proxytype: request.proxy?.type,
    pingback: request.pingback,
  });
}

/** `name=value&…`, without the fields that are not set. */
export function encodeForm(fields: Fields): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === false || value === '') continue;
    form.append(name, value === true ? '1' : String(value));
  }
  return form.toString();
}

function base64Of(image: SubmitRequest['image']): string | undefined {
  if (image === undefined || typeof image === 'string') return image;
  return Buffer.from(image.buffer, image.byteOffset, image.byteLength).toString('base64');
}
