/** Steps 5, 6 and 8: limits of images, a full thread pool, and the provider's own client beside us. */
import { spawn } from 'node:child_process';
import type { Materials, Observations, Question } from '../question.ts';
import { noisePicture } from '../picture.ts';
import { ask, BudgetSpent, pause, solution, submit, type Session } from '../session.ts';
import { shapeOf } from '../shape.ts';
import { V2 } from './tasks.ts';

export const LIMITS: readonly Question[] = [
  {
    id: 'images',
    step: 5,
    asks: 'Which words refuse an image that is too small, too wide, of 150 kB, of 2 MB?',
    mayCost: 4,
    ask: askImages,
  },
  {
    id: 'a full pool',
    step: 6,
    asks: 'With one submission more than there are threads: is it refused, by which word, or queued silently?',
    mayCost: 'threads',
    ask: askFullPool,
  },
  {
    id: 'the official client',
    step: 8,
    asks: 'Does the provider’s own client solve on the same key what we solve?',
    mayCost: 1,
    needs: 'python',
    ask: (session, { python }) => askOfficialClient(session, python),
  },
];

/** The same noise for everyone who asks. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function askImages(session: Session): Promise<Observations> {
  const word = async (picture: Uint8Array): Promise<string> => {
    const body = Buffer.from(picture).toString('base64');
    const submitted = await submit(session, { method: 'base64', body });
    if (submitted.kind !== 'accepted') return submitted.word;
    // Else its thread would still be busy for the next one.
    await solution(session, submitted.id);
    return 'accepted';
  };
  const random = randomFrom(7);
  const tiny = await word(noisePicture(1, 1, random));
  const wide = await word(noisePicture(1_100, 20, random));
  const large = await word(noisePicture(250, 200, random));
  const huge = await word(noisePicture(1_000, 700, random));
  return {
    'an image of 70 bytes': tiny,
    imageSides: wide === 'accepted' ? 'any' : wide === 'ERROR_IMAGE_DIMENSIONS_TOO_LARGE' ? '1000px' : wide,
    imageBytes: BYTES[large] ?? large,
    'an image of 2 MB': huge,
  };
}

const BYTES: Readonly<Record<string, string>> = {
  accepted: '1MB',
  ERROR_TOO_BIG_CAPTCHA_FILESIZE: '100kB',
  'http 413': 'http413',
};

async function askFullPool(session: Session): Promise<Observations> {
  const before = await countsOf(session);
  if (before === undefined) return { poolFull: 'no thread counts' };
  const wanted = before.threads - before.working + 1;
  if (session.paid + wanted > session.target.budget) throw new BudgetSpent();
  const submitted = await Promise.all(Array.from({ length: wanted }, () => submit(session, V2)));
  const during = await countsOf(session);
  const refused = submitted.flatMap((it) => (it.kind === 'accepted' ? [] : [it.word]));
  const ids = submitted.flatMap((it) => (it.kind === 'accepted' ? [it.id] : []));
  const ends = await Promise.all(ids.map((id) => solution(session, id)));
  await pause(session, session.target.pollMs);
  const after = await countsOf(session);
  return {
    poolFull: refused[0] ?? 'queue',
    'threads in use when full': during === undefined ? 'not told' : during.working >= before.threads ? 'all' : 'fewer',
    'all that were accepted': ends.every(({ kind }) => kind === 'solved') ? 'solved' : 'not all solved',
    'threads in use afterwards':
      after === undefined ? 'not told' : after.working <= before.working ? 'as before' : 'more',
  };
}

async function countsOf(session: Session): Promise<{ threads: number; working: number } | undefined> {
  const { members = {} } = shapeOf(await ask(session, { action: 'threadsinfo', json: '1' }));
  const { request } = members;
  const counts = typeof request === 'object' && request !== null ? { ...members, ...request } : members;
  const [threads, working] = [Number(counts['threads']), Number(counts['working_threads'])];
  return Number.isInteger(threads) && threads > 0 && Number.isInteger(working) ? { threads, working } : undefined;
}

/** Prints `solved`, or the name of what the client raised: never what either says. */
const SCRIPT = `
import os, sys
try:
    from captchaai import CaptchaAI
    client = CaptchaAI(os.environ["LIVE_KEY"], base_url=os.environ["LIVE_URL"])
    client.recaptcha_v2(sys.argv[1], sys.argv[2])
    print("solved")
except Exception as error:
    print(type(error).__name__)
`;

async function askOfficialClient(session: Session, python: Materials['python']): Promise<Observations> {
  if (python === undefined) throw new Error('asked without a Python');
  if (session.paid >= session.target.budget) throw new BudgetSpent();
  session.paid += 1;
  const { key, url } = session.target;
  const env = { ...python.env, LIVE_KEY: key, LIVE_URL: url };
  const child = spawn(python.path, ['-', V2.googlekey, V2.pageurl], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  const output = await new Promise<string>((resolve) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.once('error', () => resolve('no such Python'));
    child.once('close', () => resolve(text.trim()));
    child.stdin.on('error', () => undefined).end(SCRIPT);
  });
  return { 'the official client': /^[\w ]{1,60}$/.test(output) ? output : 'something else' };
}
