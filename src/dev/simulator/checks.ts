/**
 * What the provider checks before it accepts a submission: the fields each method cannot do without, the image, the
 * proxy, a free thread. Answers with the provider's word, or undefined where there is nothing to object.
 */
import { refuseCaller } from './access.ts';
import { field, type Fields } from './form.ts';
import { accountOf, type State } from './state.ts';

/** The first objection, in the provider's order: caller, task, threads. */
export function refuseSubmission(state: State, fields: Fields): string | undefined {
  return refuseCaller(state, field(fields, 'key'), 'in') ?? refuseTask(state, fields) ?? refuseBusy(state, fields);
}

function refuseBusy(state: State, fields: Fields): string | undefined {
  const account = accountOf(state, field(fields, 'key'));
  return account.threads > 0 && account.working >= account.threads ? account.busyCode : undefined;
}

/** What each method cannot do without, and the word for its absence. */
const REQUIRED: Readonly<Record<string, readonly (readonly [field: string, code: string])[]>> = {
  userrecaptcha: [
    ['googlekey', 'ERROR_GOOGLEKEY'],
    ['pageurl', 'ERROR_PAGEURL'],
  ],
  turnstile: [
    ['sitekey', 'ERROR_BAD_PARAMETERS'],
    ['pageurl', 'ERROR_PAGEURL'],
  ],
  cloudflare_challenge: [
    ['pageurl', 'ERROR_PAGEURL'],
    ['proxy', 'ERROR_BAD_PARAMETERS'],
    ['proxytype', 'ERROR_BAD_PARAMETERS'],
  ],
  geetest: [['gt', 'ERROR_BAD_PARAMETERS']],
  bls: [
    ['instructions', 'ERROR_BAD_PARAMETERS'],
    ...Array.from({ length: 9 }, (_, i) => [`image_base64_${i + 1}`, 'ERROR_BAD_PARAMETERS'] as const),
  ],
  post: [['file', 'ERROR_UPLOAD']],
  base64: [['body', 'ERROR_UPLOAD']],
};

function refuseTask(state: State, fields: Fields): string | undefined {
  const method = fields.get('method');
  if (method === undefined) return 'ERROR_BAD_PARAMETERS';
  const missing = REQUIRED[method]?.find(([field]) => (fields.get(field) ?? '') === '');
  if (missing !== undefined) return missing[1];
  if (fields.has('proxy') && !fields.has('proxytype')) return 'ERROR_BAD_PARAMETERS';
  const image = method === 'base64' ? fields.get('body') : method === 'post' ? fields.get('file') : undefined;
  return image === undefined ? undefined : refuseImage(state, image);
}

function refuseImage(state: State, image: string): string | undefined {
  const base64 = image.replace(/^data:[^,]{0,100},/, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return 'ERROR_UPLOAD';
  const bytes = (base64.length * 3) >> 2;
  if (bytes < state.options.imageBytes.min) return 'ERROR_ZERO_CAPTCHA_FILESIZE';
  return bytes > state.options.imageBytes.max ? 'ERROR_TOO_BIG_CAPTCHA_FILESIZE' : undefined;
}
