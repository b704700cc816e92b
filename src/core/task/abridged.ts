/**
 * A captcha without its long texts: pictures, tiles, parameters, cookies. Only the one submission needs them, and they
 * are up to a megabyte for each of thousands of waiting tasks, so the cache leaves them out and the submission reads
 * the task again. What rules read (type, flags, numbers, references) stays. Pure; the cache's projection writes what
 * this file abridges, admission and the call ask whether it did.
 */
import type { Captcha } from '../../api/captchatask.ts';

/** A captcha that takes no more than this as JSON is kept whole: most are, and they need no second read. */
const WHOLE_UP_TO = 1_024;
const SHORT_TEXT = 64;

type Member = Record<string, unknown>;

/** Empty values stand where something was left out. */
export function abridgeCaptcha(captcha: Captcha): Captcha {
  if (JSON.stringify(captcha).length <= WHOLE_UP_TO) return captcha;
  const members = Object.entries(captcha).map(([name, member]) => {
    if (typeof member !== 'object') return [name, member];
    return [
      name,
      Object.fromEntries(Object.entries(member as Member).map(([field, value]) => [field, shorten(value)])),
    ];
  });
  return Object.fromEntries(members) as Captcha;
}

/** Whether something is missing. A task that brought an empty value of its own is taken for one; that costs a read. */
export function isAbridged(captcha: Captcha): boolean {
  return Object.values(captcha).some(
    (member) => typeof member === 'object' && Object.values(member as Member).some(isEmpty),
  );
}

function shorten(value: unknown): unknown {
  if (typeof value === 'string') return value.length > SHORT_TEXT ? '' : value;
  if (Array.isArray(value)) return [];
  if (typeof value !== 'object' || value === null) return value;
  return JSON.stringify(value).length > WHOLE_UP_TO ? {} : value;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === '';
}
