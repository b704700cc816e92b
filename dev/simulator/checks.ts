/**
 * What the provider checks before it accepts a submission: the fields each method cannot do without, the image, the
 * proxy, the callback's host, a free thread. Answers with the provider's word, or undefined where there is nothing to
 * object.
 */
import { refuseCaller } from './access.ts';
import { field, type Fields } from './form.ts';
import { refuseFields } from './methods.ts';
import { refusePingback } from './registration.ts';
import { imageBounds, type State } from './state.ts';
import { refuseBusy } from './threads.ts';

/** The first objection, in the provider's order: caller, task, callback, threads. */
export function refuseSubmission(state: State, fields: Fields): string | undefined {
  const key = field(fields, 'key');
  return (
    refuseCaller(state, key, 'in') ??
    refuseFields(fields, state) ??
    refuseProxy(fields) ??
    refuseImage(state, fields) ??
    refusePingback(state, fields) ??
    refuseBusy(state, key)
  );
}

function refuseProxy(fields: Fields): string | undefined {
  return fields.has('proxy') && !fields.has('proxytype') ? 'ERROR_BAD_PARAMETERS' : undefined;
}

function refuseImage(state: State, fields: Fields): string | undefined {
  const image = imageOf(fields);
  if (image === undefined) return undefined;
  const base64 = image.replace(/^data:[^,]{0,100},/, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return 'ERROR_UPLOAD';
  const bytes = (base64.length * 3) >> 2;
  const { min, max } = imageBounds(state);
  if (bytes < min) return 'ERROR_ZERO_CAPTCHA_FILESIZE';
  if (bytes > max) return 'ERROR_TOO_BIG_CAPTCHA_FILESIZE';
  const bounded = state.switches.imageSides === '1000px' && longestSide(base64) > 1_000;
  return bounded ? 'ERROR_IMAGE_DIMENSIONS_TOO_LARGE' : undefined;
}

/** The image of an image task, as base64. */
export function imageOf(fields: Fields): string | undefined {
  const method = fields.get('method');
  return method === 'base64' ? fields.get('body') : method === 'post' ? fields.get('file') : undefined;
}

/** Width or height as the head of a PNG or GIF says; 0 for anything else. */
function longestSide(base64: string): number {
  const head = Buffer.from(base64.slice(0, 32), 'base64');
  if (head.length === 24 && head.toString('latin1', 1, 4) === 'PNG') {
    return Math.max(head.readUInt32BE(16), head.readUInt32BE(20));
  }
  const isGif = head.length >= 10 && head.toString('latin1', 0, 3) === 'GIF';
  return isGif ? Math.max(head.readUInt16LE(6), head.readUInt16LE(8)) : 0;
}
