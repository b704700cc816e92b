/**
 * `npm run live`: asks the real provider what no document says, and says where the simulator is another. Opt-in, never in
 * CI: it needs an account's key, and paid questions need a budget. Free questions come first; a refused key ends it.
 *
 *     CAPTCHAAI_API_KEY=… npm run live -- --dry-run            what would be asked; sends nothing
 *     CAPTCHAAI_API_KEY=… npm run live                         the free questions
 *     CAPTCHAAI_API_KEY=… CALLBACK_URL=https://tunnel.example npm run live -- --budget 20
 *
 * The tunnel leads to LIVE_BIND_PORT (8900) on this machine. LIVE_PROXY=`HTTP user:pass@host:port`,
 * LIVE_V2_ENTERPRISE=`siteKey pageURL [action]`, LIVE_V3_ENTERPRISE and LIVE_PYTHON (one with captchaai) open the
 * questions that need them. Ends 0 when it has asked, 1 when the key was refused or nothing answered, 2 on a wrong
 * call. Keys, tokens and answers are neither printed nor stored: replies are kept by their form. One question sends
 * the key in a URL, as most clients always do: whether polls by POST are answered like polls by GET.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Materials, Site } from '../live/question.ts';
import { startReceiver } from '../live/receiver.ts';
import { recordingOf } from '../live/recording.ts';
import { askedText, planText, reportText } from '../live/report.ts';
import { askAll, besideSimulator, likenessOf, type Likeness, type Run } from '../live/run.ts';
import type { Target } from '../live/session.ts';

const USAGE = 'usage: npm run live -- [--dry-run] [--budget N] [--patient] [--out DIR]';

function fail(message: string): never {
  process.stderr.write(`live: ${message}\n${USAGE}\n`);
  process.exit(2);
}

function readArguments(): { 'dry-run'?: boolean; budget?: string; patient?: boolean; out?: string } {
  const options = {
    'dry-run': { type: 'boolean' },
    budget: { type: 'string' },
    patient: { type: 'boolean' },
    out: { type: 'string' },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail((error as Error).message);
  }
}

const { env } = process;
const args = readArguments();

function wholeNumber(name: string, text: string, max: number): number {
  return /^\d{1,6}$/.test(text) && Number(text) <= max
    ? Number(text)
    : fail(`${name} must be a whole number up to ${max}`);
}

function siteFrom(text: string | undefined): Site | undefined {
  if (!text) return undefined;
  const [siteKey = '', pageURL = '', action] = text.trim().split(/\s+/);
  if (!URL.canParse(pageURL)) fail('LIVE_V2_ENTERPRISE and LIVE_V3_ENTERPRISE are: siteKey pageURL [action]');
  return { siteKey, pageURL, ...(action === undefined ? {} : { action }) };
}

function materialsFrom(): Materials {
  const [type = '', address] = env['LIVE_PROXY']?.trim().split(/\s+/) ?? [];
  const [v2, v3] = [siteFrom(env['LIVE_V2_ENTERPRISE']), siteFrom(env['LIVE_V3_ENTERPRISE'])];
  const python = env['LIVE_PYTHON'];
  return {
    ...(address === undefined ? {} : { proxy: { type, address } }),
    ...(v2 === undefined ? {} : { v2Enterprise: v2 }),
    ...(v3 === undefined ? {} : { v3Enterprise: v3 }),
    ...(python ? { python: { path: python, env } } : {}),
    ...(args.patient === true ? { patient: true as const } : {}),
  };
}

const budget = wholeNumber('--budget', args.budget ?? '0', 1_000);
const pollMs = wholeNumber('LIVE_POLL_MS', env['LIVE_POLL_MS'] ?? '5000', 60_000);
const materials = materialsFrom();
const callbackURL = env['CALLBACK_URL']?.replace(/\/$/, '');

if (args['dry-run'] === true) {
  process.stdout.write(planText({ materials, callback: Boolean(callbackURL), budget }));
  process.exit(0);
}
if (env['CI'] === 'true') fail('not in CI: it spends money and asks a third party');
const key = env['CAPTCHAAI_API_KEY'] ?? '';
if (key.length !== 32) fail('CAPTCHAAI_API_KEY must hold a key of 32 characters');

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());
process.exitCode = await main();

async function main(): Promise<number> {
  const url = env['PROVIDER_URL'] ?? 'https://ocr.captchaai.com';
  const port = wholeNumber('LIVE_BIND_PORT', env['LIVE_BIND_PORT'] ?? '8900', 65_535);
  const receiver = callbackURL ? await startReceiver(port) : undefined;
  const callback = receiver === undefined ? {} : { callback: { receiver, url: callbackURL ?? '' } };
  const pace = { timeoutMs: Math.max(1_000, pollMs * 6), pollMs, patienceMs: pollMs * 36, callbackWaitMs: pollMs * 12 };
  const target: Target = { url, key, budget, signal: interrupt.signal, ...pace, ...callback };
  try {
    const run = await askAll(target, materials, { told: (asked) => process.stdout.write(askedText(asked)) });
    await conclude(run, new URL(url).host);
    const answered = run.recorded.some(({ status }) => status > 0);
    return run.stopped === undefined && answered ? 0 : 1;
  } finally {
    await receiver?.stop();
  }
}

async function conclude(run: Run, host: string): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const directory = args.out ?? 'live-results';
  const file = join(directory, `${host.replaceAll(/[^\w.-]/g, '_')}-${date}.json`);
  const write = (likeness: Likeness): void =>
    writeFileSync(file, `${JSON.stringify(recordingOf(run, { date, host, ...likeness }), null, 2)}\n`);
  mkdirSync(directory, { recursive: true });
  // What was paid for is on disk before anything else may fail.
  write({ switches: {}, words: {} });
  const points = await besideSimulator(run, materials);
  const likeness = likenessOf(points);
  write(likeness);
  const left = await besideSimulator(run, materials, likeness);
  process.stdout.write(`\n${reportText({ run, points, left, likeness })}`);
  process.stdout.write(`\nwritten to ${file}; a simulator like it: RECORDING=${file} node dev/bin/simulator.ts\n`);
}
