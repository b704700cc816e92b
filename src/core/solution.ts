/**
 * What a result looks like, by captcha type: how the provider's many shapes become the one text that the contract
 * stores, how long it lives, which results a callback cannot carry alone, and how long solving takes at least. Polls
 * (`provider/wire`) and callbacks (`core/callback`) both come through here, so the same answer is the same text
 * whichever way it came, and a repeat can be recognised by comparing.
 *
 * It never judges a token (no length, no alphabet). It does judge the shape: an answer of another kind than the type's
 * (text where a list of cells is due) is an answer to something else, and no result. Facts: provider-api.md sections 3,
 * 6 and 8.
 */
import type { Captcha } from '../api/captchatask.ts';
import type { CaptchaType } from '../api/names.ts';
import type { SolvedAnswer, UnreadableAnswer } from './outcome.ts';

interface ResultFacts {
  /** Seconds a result works after it was obtained; absent where no lifetime is known. */
  lifetimeSeconds?: number;
  /** First poll of a submission that has no pingback. */
  firstPollSeconds: number;
  /** A callback's `code` cannot carry the whole result: the callback is only a hint to poll. */
  hint: boolean;
  /** Finds the value (and a user agent inside it) in what the provider sent; undefined where the shape is not there. */
  read: (answer: unknown, captcha: CaptchaShape) => Parts | undefined;
  /** `+` in a raw query is a space. Token alphabets have `+` and no space; texts and lists have it the other way. */
  plusIsSpace: boolean;
}

const GEETEST_V3 = ['challenge', 'validate', 'seccode'];
const LEMIN = ['answer', 'challenge_uuid'];
const GEETEST_V4 = ['captcha_id', 'lot_number', 'pass_token', 'gen_time', 'captcha_output'];

/** What of a captcha decides how its answer is read. */
type CaptchaShape = Pick<Captcha, 'type' | 'grid'>;

const token = { hint: false, plusIsSpace: false, read: asText };
const text = { hint: false, plusIsSpace: true };
/** Needs a user agent or several fields beside the code. `Custom` may be either, so it is asked for in full. */
const hint = { hint: true, plusIsSpace: false };

const FACTS: Readonly<Record<CaptchaType, ResultFacts>> = {
  RecaptchaV2: { ...token, lifetimeSeconds: 120, firstPollSeconds: 15 },
  RecaptchaV3: { ...token, lifetimeSeconds: 120, firstPollSeconds: 5 },
  Turnstile: { ...token, lifetimeSeconds: 300, firstPollSeconds: 15 },
  CloudflareChallenge: { ...hint, firstPollSeconds: 20, read: clearanceOf },
  GeeTestV3: { ...hint, lifetimeSeconds: 60, firstPollSeconds: 15, read: (answer) => recordOf(answer, GEETEST_V3) },
  GeeTestV4: { ...hint, firstPollSeconds: 15, read: (answer) => recordOf(answer, GEETEST_V4) },
  Image: { ...text, firstPollSeconds: 5, read: asText },
  Grid: { ...text, firstPollSeconds: 15, read: (answer, captcha) => cellsOf(answer, cellsIn(captcha)) },
  BLS: { ...text, firstPollSeconds: 5, read: (answer) => cellsOf(answer, BLS_TILES) },
  CaptchaFox: { ...hint, firstPollSeconds: 10, read: asText },
  FriendlyCaptcha: { ...token, firstPollSeconds: 10 },
  Lemin: { ...hint, firstPollSeconds: 10, read: (answer) => recordOf(answer, LEMIN) ?? plainToken(answer) },
  Custom: { ...hint, firstPollSeconds: 10, read: asReceived },
};

/** How long a result works, in seconds from when it was received; undefined where the type has no known lifetime. */
export function lifetimeSeconds(type: CaptchaType): number | undefined {
  return FACTS[type].lifetimeSeconds;
}

/** How long after submission the first poll of a task without pingback is worth its call: 5 to 20 s. */
export function firstPollDelayMs(type: CaptchaType): number {
  return FACTS[type].firstPollSeconds * 1_000;
}

/**
 * Whether the result needs more than a callback's `code`, so that the callback only makes the task due for a poll. The
 * type alone does not tell: a token of reCAPTCHA Enterprise is bound to a user agent, which no callback brings.
 */
export function isHint(captcha: Pick<Captcha, 'type' | 'recaptchaV2' | 'recaptchaV3'>): boolean {
  return FACTS[captcha.type].hint || (captcha.recaptchaV2 ?? captcha.recaptchaV3)?.enterprise === true;
}

/** Whether `+` in a raw query string stands for a space in this type's `code` (form bodies: always). */
export function plusIsSpace(type: CaptchaType): boolean {
  return FACTS[type].plusIsSpace;
}

/**
 * The result as the contract stores it: text, or compact JSON for lists and objects; with the user agent it is bound
 * to, where there is one. `answer` is the answer of a JSON reply (its `request`, else its `result`), the text after
 * `OK|` (plain replies) or a callback's decoded `code`. Undefined when there is nothing in it: empty text, null,
 * boolean. Unreadable when what is there has not the shape of the type.
 */
export function solutionOf(
  captcha: CaptchaShape,
  answer: unknown,
  userAgent?: unknown,
): SolvedAnswer | UnreadableAnswer | undefined {
  if (answer === undefined || answer === null || answer === '' || typeof answer === 'boolean') return undefined;
  const parts = FACTS[captcha.type].read(answer, captcha);
  if (parts === undefined || parts.value === '') return { kind: 'unreadable' };
  const agent = textOf(userAgent) ?? parts.userAgent;
  return { kind: 'solved', value: parts.value, ...(agent === undefined || agent === '' ? {} : { userAgent: agent }) };
}

interface Parts {
  value: string;
  userAgent?: string | undefined;
}

/** Text as it is: a recognised `0042` keeps its zeros. */
function asText(answer: unknown): Parts | undefined {
  const value = textOf(answer);
  return value === undefined ? undefined : { value };
}

/** Text that is not the JSON of something else. */
function plainToken(answer: unknown): Parts | undefined {
  return typeof answer === 'string' && jsonIn(answer) === undefined ? { value: answer } : undefined;
}

/** Text as it is, lists and objects as compact JSON. */
function asReceived(answer: unknown): Parts | undefined {
  if (typeof answer !== 'object' || answer === null) return asText(answer);
  const isEmpty = !Array.isArray(answer) && Object.keys(answer).length === 0;
  return isEmpty ? undefined : { value: JSON.stringify(answer) };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

const BLS_TILES = 9;
/** As many cells as a grid could have in the first version; those tasks may still be under way. */
const MAX_CELLS = 400;

function cellsIn({ grid }: CaptchaShape): number {
  return grid?.rows === undefined || grid.columns === undefined ? MAX_CELLS : grid.rows * grid.columns;
}

/** Cell numbers of grid and BLS: a list, JSON text of a list, or `click:1/4`, become `[1,4]`. */
function cellsOf(answer: unknown, most: number): Parts | undefined {
  const list = Array.isArray(answer) ? (answer as unknown[]) : listIn(textOf(answer) ?? '');
  const cells = list?.map(cellIn);
  const isWhole = cells?.every((cell) => cell !== undefined && cell <= most) === true;
  return isWhole ? { value: JSON.stringify(cells) } : undefined;
}

function cellIn(cell: unknown): number | undefined {
  const digits = /^\s*(\d{1,4})\s*$/.exec(textOf(cell) ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function listIn(value: string): unknown[] | undefined {
  const parsed = jsonIn(value);
  if (Array.isArray(parsed)) return parsed;
  // The word of this protocol family for "no cell".
  if (/^\s*no_matching_images\s*$/i.test(value)) return [];
  const clicks = /^(?:click:)?(\d{1,4}(?:[/,] ?\d{1,4})*)$/.exec(value.trim());
  return clicks?.[1]?.split(/[/,]/);
}

/**
 * The named fields in a fixed order and without the `geetest_` prefix, from an object, JSON text, or (plain replies)
 * `challenge:…,validate:…,seccode:…`. A result that lacks some of the fields is kept as it came; what has none of them
 * is no result.
 */
function recordOf(answer: unknown, fields: readonly string[]): Parts | undefined {
  const source = recordIn(answer) ?? (typeof answer === 'string' ? pairsIn(answer) : {});
  const found = fields.map((field) => [field, source[field] ?? source[`geetest_${field}`]] as const);
  if (found.every(([, value]) => value === undefined)) return undefined;
  if (found.some(([, value]) => value === undefined)) return asReceived(answer);
  const known = new Set(fields.flatMap((field) => [field, `geetest_${field}`]));
  const others = Object.entries(source).filter(([name]) => !known.has(name));
  return { value: JSON.stringify(Object.fromEntries([...found, ...others])) };
}

function pairsIn(value: string): Record<string, unknown> {
  const pairs = value.split(',').map((pair) => {
    const colon = pair.indexOf(':');
    return [pair.slice(0, colon).trim(), pair.slice(colon + 1).trim()] as const;
  });
  return Object.fromEntries(pairs);
}

/** The clearance cookie's text, and the user agent it is bound to where the same text carries it. */
function clearanceOf(answer: unknown): Parts | undefined {
  const record = recordIn(answer);
  if (record !== undefined) {
    const cookies = recordIn(record['cookies']) ?? record;
    const value = textOf(cookies['cf_clearance'] ?? record['token']);
    const userAgent = textOf(record['userAgent'] ?? record['user_agent']);
    return value === undefined ? undefined : { value, userAgent };
  }
  return typeof answer === 'string' ? plainClearance(answer) : asText(answer);
}

/** `cf_clearance=…;user_agent=…`, either part missing. A user agent has semicolons itself, so it comes last. */
function plainClearance(value: string): Parts {
  const semicolon = value.indexOf(';');
  const cookie = (semicolon === -1 ? value : value.slice(0, semicolon)).trim().replace(/^cf_clearance=/i, '');
  if (semicolon === -1) return { value: cookie };
  const agent = /^\s*user_?agent=(.*)$/is.exec(value.slice(semicolon + 1))?.[1];
  return agent === undefined ? { value } : { value: cookie, userAgent: agent.trim() };
}

/** An object, or the object in a JSON text. */
function recordIn(value: unknown): Record<string, unknown> | undefined {
  const found = typeof value === 'string' ? jsonIn(value) : value;
  return typeof found === 'object' && found !== null && !Array.isArray(found)
    ? (found as Record<string, unknown>)
    : undefined;
}

function jsonIn(value: string): unknown {
  if (!/^\s*[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return undefined;
  }
}
