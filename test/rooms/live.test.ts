/**
 * `npm run live` asked of simulators in every guise and of servers that misbehave: it must see what each switch does,
 * never spend more than its budget, and neither print nor keep a key, a token or an address.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Materials, Question } from '../../dev/live/question.ts';
import { QUESTIONS } from '../../dev/live/questions/index.ts';
import { startReceiver } from '../../dev/live/receiver.ts';
import { recordingOf, recordedLikeness } from '../../dev/live/recording.ts';
import { planText, reportText } from '../../dev/live/report.ts';
import { askAll, besideSimulator, compareRuns, likenessOf, type Point, type Run } from '../../dev/live/run.ts';
import { V2 } from '../../dev/live/questions/tasks.ts';
import { submit, type Target } from '../../dev/live/session.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { SimulatorOptions } from '../../dev/simulator/script.ts';
import type { Switches } from '../../dev/simulator/switches.ts';

const KEY = 'fedcba9876543210fedcba9876543210';
const PACE = { timeoutMs: 2_000, pollMs: 10, patienceMs: 3_000, callbackWaitMs: 400 };
const ROOT = join(import.meta.dirname, '../..');

const materials: Materials = {
  proxy: { type: 'HTTP', address: 'user:secret-proxy@192.0.2.7:3128' },
  v2Enterprise: { siteKey: 'K2', pageURL: 'https://example.com/v2' },
  v3Enterprise: { siteKey: 'K3', pageURL: 'https://example.com/v3', action: 'login' },
};

/** Where a second submission must find the only thread busy. */
const ON_THE_DEMO_PAGE = { field: 'pageurl', equals: V2.pageurl };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function begin(options: SimulatorOptions): Promise<{ simulator: Simulator; target: Target }> {
  const simulator = await startSimulator({ dialect: 'official', answerAfterMs: 60, ...options });
  closers.push(() => simulator.stop());
  await simulator.control.account(KEY, { threads: 1 });
  await simulator.control.account('f'.repeat(32), { state: 'unknown' });
  await simulator.control.script({ tasks: [{ solveAfterMs: 'asked' }] }, ON_THE_DEMO_PAGE);
  return { simulator, target: await targetOf(simulator.url) };
}

async function targetOf(url: string, more: Partial<Target> = {}): Promise<Target> {
  const receiver = await startReceiver(0);
  closers.push(() => receiver.stop());
  const callback = { receiver, url: `http://127.0.0.1:${receiver.port}` };
  return { url, key: KEY, budget: 100, callback, ...PACE, ...more };
}

/** Beside nothing that is expected. */
const seenAlone = (run: Run): Point[] => compareRuns({ asked: [], paid: 0, recorded: [] }, run);

const only = (...ids: string[]): typeof QUESTIONS => QUESTIONS.filter(({ id }) => ids.includes(id));

describe('asked of a simulator', () => {
  test(
    'sees nothing that the simulator does not expect, and pays for what it says it paid',
    { timeout: 120_000 },
    async () => {
      const { simulator, target } = await begin({});
      const run = await askAll(target, materials);
      expect(run.asked.filter(({ skipped }) => skipped !== undefined).map(({ question }) => question.id)).toEqual([
        'the official client',
      ]);
      const points = await besideSimulator(run, materials);
      expect(points.length).toBeGreaterThan(40);
      expect(points.filter(({ expected, seen }) => expected !== seen)).toEqual([]);
      expect(run.paid).toBe((await simulator.control.totals()).paid);
      expect(likenessOf(points)).toEqual({ switches: {}, words: {} });
    },
  );

  test(
    'of the family finds the switches that make the official one like it, and keeps neither key nor answer nor address',
    { timeout: 120_000 },
    async () => {
      const { simulator, target } = await begin({ dialect: 'family' });
      const run = await askAll(target, materials);
      const likeness = likenessOf(await besideSimulator(run, materials));
      expect(likeness.switches).toMatchObject({
        answerField: 'request',
        gridTrigger: 'recaptcha',
        pingbackVerb: 'FORM',
      });
      const left = await besideSimulator(run, materials, likeness);
      expect(left.filter(({ expected, seen }) => expected !== seen)).toEqual([]);
      const { submissions } = await simulator.control.ledger();
      const ids = submissions.flatMap(({ id }) => (id === undefined ? [] : [id]));
      expect(ids.length).toBeGreaterThan(10);
      const text = writtenOf(run);
      for (const secret of [KEY, '03token', 'clearance-', 'secret-proxy', '127.0.0.1', ...ids]) {
        expect(text, secret).not.toContain(secret);
      }
    },
  );

  test('that uses other words for the same refusals makes the official one use them, too', async () => {
    const words = { ERROR_PAGEURL: 'ERROR_NO_PAGE', ERROR_WRONG_CAPTCHA_ID: 'ERROR_NO_SUCH_CAPCHA_ID' };
    const { target } = await begin({ words });
    const run = await askAll({ ...target, budget: 0 }, {});
    const likeness = likenessOf(await besideSimulator(run, {}));
    expect(likeness).toEqual({ switches: {}, words });
    const left = await besideSimulator(run, {}, likeness);
    expect(left.filter(({ expected, seen }) => expected !== seen)).toEqual([]);
  });

  const turned: [Partial<Switches>, string[]][] = [
    [{ threadsinfo: 'nested' }, ['threads']],
    [{ threadsinfo: 'strings' }, ['threads']],
    [{ threadsinfo: 'noStatus' }, ['threads']],
    [{ threadsinfo: 'zero' }, ['threads']],
    [{ threadsinfo: 'unsupported' }, ['threads']],
    [{ bodies: 'plainWords' }, ['ids']],
    [{ bodies: 'bom' }, ['ids']],
    [{ bodies: 'newline' }, ['ids']],
    [{ jsonDefault: 'json' }, ['ids']],
    [{ pollVerb: 'get' }, ['verbs']],
    [{ pollVerb: 'post' }, ['verbs']],
    [{ pollVerb: 'queryOnly' }, ['verbs']],
    [{ unknownMethod: 'ERROR_BAD_PARAMETERS' }, ['refusals']],
    [{ unknownMethod: 'accept' }, ['refusals']],
    [{ pingback: 'ignored' }, ['callback']],
    [{ pingback: 'refused' }, ['callback']],
    [{ pingback: 'refused', pingbackRefusal: 'ERROR_PINGBACK' }, ['callback']],
    [{ pingbackVerb: 'FORM' }, ['callback']],
    [{ pingbackVerb: 'JSON' }, ['callback']],
    [{ pingbackVerb: 'MULTIPART' }, ['callback']],
    [{ answerField: 'request' }, ['reCAPTCHA v2 Enterprise']],
    [{ answerField: 'both' }, ['reCAPTCHA v3 Enterprise']],
    [{ answerField: 'emptyRequest' }, ['Cloudflare Challenge']],
    [{ userAgent: 'absent' }, ['reCAPTCHA v2 Enterprise']],
    [{ userAgentName: 'useragent' }, ['Cloudflare Challenge']],
    [{ challenge: 'pairs' }, ['Cloudflare Challenge']],
    [{ challenge: 'object' }, ['Cloudflare Challenge']],
    [{ gridTrigger: 'recaptcha' }, ['grid']],
    [{ gridTrigger: 'either' }, ['grid']],
    [{ gridAnswer: 'array' }, ['grid']],
    [{ gridAnswer: 'click' }, ['grid']],
    [{ imageBytes: '100kB' }, ['images']],
    [{ imageBytes: 'http413' }, ['images']],
    [{ imageSides: 'any' }, ['images']],
    [{ poolFull: 'ERROR_NO_SLOT_AVAILABLE' }, ['a full pool']],
    [{ poolFull: 'queue' }, ['a full pool']],
    [{ reading: 'once' }, ['reading']],
  ];
  test.each(turned)('finds %j turned', async (switches, ids) => {
    const { target } = await begin({ switches });
    const run = await askAll(target, materials, { questions: only(...ids) });
    expect(likenessOf(seenAlone(run)).switches).toEqual(switches);
  });
});

describe('the budget', () => {
  test('of nothing leaves the free questions', async () => {
    const { simulator, target } = await begin({});
    const run = await askAll({ ...target, budget: 0 }, materials);
    const asked = run.asked.filter(({ skipped }) => skipped === undefined).map(({ question }) => question.mayCost);
    expect(asked.length).toBeGreaterThan(5);
    expect(new Set(asked)).toEqual(new Set([0]));
    expect((await simulator.control.totals()).paid).toBe(0);
  });

  test.each([1, 3, 7])('of %i is never exceeded', async (budget) => {
    const { simulator, target } = await begin({});
    const run = await askAll({ ...target, budget }, materials);
    expect((await simulator.control.totals()).paid).toBeLessThanOrEqual(budget);
    expect(run.paid).toBe((await simulator.control.totals()).paid);
  });

  test('holds for a question that wants more than it said', async () => {
    const { simulator, target } = await begin({});
    await simulator.control.account(KEY, { threads: 0 });
    const greedy: Question = {
      id: 'greedy',
      step: 1,
      asks: 'How much is there?',
      mayCost: 1,
      async ask(session) {
        for (;;) await submit(session, V2);
      },
    };
    const run = await askAll({ ...target, budget: 2 }, materials, { questions: [greedy] });
    expect(run.asked).toMatchObject([{ skipped: 'the budget is spent' }]);
    expect((await simulator.control.totals()).paid).toBeLessThanOrEqual(2);
  });

  test('counts as paid what may have been accepted', async () => {
    const { simulator, target } = await begin({});
    await simulator.control.script({ submit: [{ fault: 'html502', accept: true }] }, ON_THE_DEMO_PAGE);
    const run = await askAll({ ...target, budget: 4 }, materials);
    expect((await simulator.control.totals()).paid).toBeLessThanOrEqual(4);
    expect(run.paid).toBe((await simulator.control.totals()).paid);
  });
});

describe('a key that is refused', () => {
  test('ends the run at the first word, before another wrong call', async () => {
    const { simulator, target } = await begin({});
    await simulator.control.account(KEY, { state: 'unknown' });
    const run = await askAll(target, materials);
    expect(run.stopped).toBe('ERROR_KEY_DOES_NOT_EXIST');
    expect((await simulator.control.totals()).requests).toBe(1);
  });
});

async function serve(reply: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(reply);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a server that misbehaves', () => {
  const SECRET = 'sEcReT-aNsWeR-01';
  const replies: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
    resets: (request) => request.socket.resetAndDestroy(),
    'says nothing': () => undefined,
    'answers a page': (_request, response) => response.writeHead(502).end(`<html>${SECRET}</html>`),
    'answers nothing': (_request, response) => response.end(),
    'answers bytes': (_request, response) => response.end(Buffer.from([0xff, 0xfe, 0x00, 0x7b])),
    redirects: (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
    'answers a megabyte': (_request, response) => response.end('x'.repeat(1_000_000)),
    'repeats what it was told': (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      request.once('end', () => response.end(JSON.stringify({ status: 1, request: `${body} ${SECRET}` })));
    },
    'accepts everything and never solves': (request, response) =>
      response.end(request.url?.includes('in.php') ? '{"status":1,"request":7383820914}' : 'CAPCHA_NOT_READY'),
    'answers in capitals': (_request, response) => response.end(`{"status":1,"request":"${SECRET.toUpperCase()}"}`),
    'answers a bare secret': (_request, response) => response.end(SECRET.replaceAll('-', '').toUpperCase()),
    'names its members by secrets': (_request, response) =>
      response.end(JSON.stringify({ status: 1, request: { [SECRET]: SECRET }, [SECRET]: SECRET })),
  };

  test.each(Object.entries(replies))(
    'and %s is reported on: within the budget, without a secret',
    async (_how, reply) => {
      let submissions = 0;
      const url = await serve((request, response) => {
        if (request.url?.includes('in.php')) submissions += 1;
        reply(request, response);
      });
      const target = await targetOf(url, { budget: 3, timeoutMs: 60, patienceMs: 60, callbackWaitMs: 10 });
      const run = await askAll(target, materials);
      // Two submissions ask which words refuse them, whatever the budget.
      expect(submissions).toBeLessThanOrEqual(3 + 2);
      expect(run.paid).toBeLessThanOrEqual(3 + 2);
      const written = writtenOf(run);
      const capitals = [SECRET.toUpperCase(), SECRET.replaceAll('-', '').toUpperCase()];
      for (const secret of [KEY, SECRET, ...capitals, '7383820914', 'secret-proxy']) {
        expect(written, secret).not.toContain(secret);
      }
    },
  );
});

/** All that a run prints and keeps. */
function writtenOf(run: Run): string {
  const points = seenAlone(run);
  const likeness = likenessOf(points);
  const report = reportText({ run, points, left: points, likeness });
  return report + JSON.stringify(recordingOf(run, { date: '', host: '', ...likeness }));
}

interface Ended {
  code: number;
  output: string;
  errors: string;
}

function live(args: string[], env: Record<string, string>): Promise<Ended> {
  const { CI: _, ...inherited } = process.env;
  return new Promise((resolve) => {
    const options = { env: { ...inherited, ...env }, cwd: ROOT };
    execFile(process.execPath, ['dev/bin/live.ts', ...args], options, (error, output, errors) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, output, errors }),
    );
  });
}

describe('the program', () => {
  test('says in a dry run what it would ask and what that may cost, without a key, and sends nothing', async () => {
    const { simulator } = await begin({});
    const { code, output } = await live(['--dry-run', '--budget', '5'], { PROVIDER_URL: simulator.url });
    expect(code).toBe(0);
    expect(output).toBe(planText({ materials: {}, callback: false, budget: 5 }));
    expect(output).toContain('grid (may cost 3): asked');
    expect(output).toContain('needs CALLBACK_URL');
    expect((await simulator.control.totals()).requests).toBe(0);
  });

  const wrongCalls: [string[], Record<string, string>, string][] = [
    [['--budget', 'all'], {}, '--budget must be a whole number'],
    [['--spend'], {}, 'Unknown option'],
    [[], {}, 'CAPTCHAAI_API_KEY must hold a key of 32 characters'],
    [[], { CAPTCHAAI_API_KEY: KEY, CI: 'true' }, 'not in CI'],
  ];
  test.each(wrongCalls)('refuses a wrong call (%j %j)', async (args, env, message) => {
    const { code, errors } = await live(args, env);
    expect(code).toBe(2);
    expect(errors).toContain(message);
    expect(errors).not.toContain(KEY);
  });

  test('asks, reports, and writes a recording from which a simulator starts', async () => {
    const { simulator } = await begin({ switches: { threadsinfo: 'nested' } });
    const out = await mkdtemp(join(tmpdir(), 'captcha-live-'));
    closers.push(() => rm(out, { recursive: true, force: true }));
    const env = { CAPTCHAAI_API_KEY: KEY, PROVIDER_URL: simulator.url, LIVE_POLL_MS: '10' };
    const { code, output, errors } = await live(['--out', out], env);
    expect(errors).toBe('');
    expect(code).toBe(0);
    expect(output).toContain('threads / threadsinfo: nested; the simulator: topLevel');
    expect(output).toContain('What no switch expresses yet: nothing.');
    expect(output).not.toContain(KEY);
    const [file = ''] = await readdir(out);
    expect(recordedLikeness(join(out, file))).toEqual({ switches: { threadsinfo: 'nested' }, words: {} });
    expect(await readFile(join(out, file), 'utf8')).not.toContain(KEY);
  });

  test('ends with 1 where the key is refused', async () => {
    const { simulator } = await begin({});
    await simulator.control.account(KEY, { state: 'wrong' });
    const out = await mkdtemp(join(tmpdir(), 'captcha-live-'));
    closers.push(() => rm(out, { recursive: true, force: true }));
    const { code, output } = await live(['--out', out], { CAPTCHAAI_API_KEY: KEY, PROVIDER_URL: simulator.url });
    expect(code).toBe(1);
    expect(output).toContain('stopped: ERROR_WRONG_USER_KEY');
  });
});
