/**
 * Runs every call of a client against a simulator and says what became of each: what the client made of the answer, and
 * what the simulator's books have about it. Used by the tests of this tier and by `record.ts`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { LedgerSubmission } from '../../dev/simulator/ledger.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-certificate.ts';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA, type Call } from './calls.ts';
import { run as runProgram } from './python.ts';
import { IMAGE_BYTES, KEY } from './values.ts';

/** The clients by the names of their packages. */
export const CLIENTS = ['captchaai', '2captcha-python', 'solvecaptcha-python', '@2captcha/captcha-solver'] as const;
export type ClientName = (typeof CLIENTS)[number];

export interface Outcome {
  call: Call;
  /** What the client returned; with an error, nothing. */
  result?: Record<string, unknown> & { id?: string };
  error?: string;
  line?: LedgerSubmission;
}

/** Every wait of a client takes a fiftieth of its time. */
const PACE = 0.02;

/** A world with one simulator: the client's polls find each task unsolved once. */
async function withSimulator<T>(
  dialect: 'official' | 'family',
  work: (simulator: Simulator, place: string) => Promise<T>,
): Promise<T> {
  const simulator = await startSimulator({ dialect });
  const place = await mkdtemp(join(tmpdir(), 'captcha-clients-'));
  try {
    await simulator.control.account(KEY, { threads: 100 });
    await simulator.control.script({ tasks: [{ polls: [{ notReady: true }] }] });
    return await work(simulator, place);
  } finally {
    await simulator.stop();
    await rm(place, { recursive: true, force: true });
  }
}

/** All calls of one client. `python`: a Python that has the client's library. */
export function runClient(client: ClientName, python = ''): Promise<Outcome[]> {
  const dialect = client === 'captchaai' ? 'official' : 'family';
  return withSimulator(dialect, async (simulator, place) => {
    const { calls, answers } = await callClient(client, { url: simulator.url, key: KEY, python, place });
    return told(simulator, calls, answers, (result) => idOf(client, result));
  });
}

/** Where a client is sent, and what it needs of this machine. */
export interface Target {
  url: string;
  /** For those that insist on https; its certificate is the loopback one. Default: a front before `url`. */
  tlsURL?: string;
  key: string;
  python: string;
  /** A directory for files that it uploads. */
  place: string;
  /** Every wait of the client takes this share of its time. */
  pace?: number;
  /** How often a program around the client calls it again when its connection broke; default: never. */
  again?: number;
  /** Which of its calls; default: all. */
  calls?: readonly Call[];
}

/** What each call of a client returned, from whatever server it was sent to. */
export async function callClient(
  client: ClientName,
  target: Target,
): Promise<{ calls: readonly Call[]; answers: Answer[] }> {
  if (client === '@2captcha/captcha-solver') return callNpm(target);
  if (client === 'captchaai') return callOfficial(target);
  return callFamily(client, target);
}

/** The id that a client says its result has. */
export function idOf(client: ClientName, result: Record<string, unknown>): string {
  if (client === 'captchaai') return String(result['task_id']);
  return client === '@2captcha/captcha-solver' ? String(result['id']) : idIn(result['captchaId']);
}

async function callOfficial({ url, key, python, calls = OFFICIAL, pace = PACE, again = 0 }: Target) {
  const construct = { api_key: key, base_url: url };
  const plan = { module: 'captchaai', class: 'CaptchaAI', construct, calls, pace, again };
  return { calls, answers: await drive(python, plan) };
}

export function officialSettings({ url }: Simulator): Record<string, unknown> {
  return { api_key: KEY, base_url: url };
}

/** These clients know no address but `https://host`; they are told to trust the certificate on loopback. */
async function callFamily(client: ClientName, { url, tlsURL, key, python, place, calls: chosen, ...how }: Target) {
  const certificate = join(place, 'loopback.pem');
  const imagePath = join(place, 'captcha.gif');
  await writeFile(certificate, LOOPBACK_CERTIFICATE);
  await writeFile(imagePath, IMAGE_BYTES);
  await writeFile(join(place, 'captcha.mp3'), IMAGE_BYTES);
  const front = tlsURL === undefined ? await startTlsFront(url) : undefined;
  try {
    const two = client === '2captcha-python';
    const calls = chosen ?? (two ? TWOCAPTCHA : SOLVECAPTCHA)(imagePath);
    const server = front?.host ?? new URL(tlsURL ?? '').host;
    const construct = { apiKey: key, server, extendedResponse: true };
    const named = two
      ? { module: 'twocaptcha', class: 'TwoCaptcha' }
      : { module: 'solvecaptcha', class: 'Solvecaptcha' };
    const answers = await drive(python, { ...named, construct, calls, ...how }, { REQUESTS_CA_BUNDLE: certificate });
    return { calls, answers };
  } finally {
    await front?.stop();
  }
}

/** The clients of the family cut an id out of plain text. */
const idIn = (text: unknown): string => /\d+/.exec(String(text))?.[0] ?? '';

async function callNpm({ url, key, calls = NPM, pace, again = 0 }: Target) {
  const solver = npmSolver(url, key, pace);
  const answers = await Promise.all(
    calls.map(async ({ name, call, args }): Promise<Answer> => {
      const met: string[] = [];
      for (;;) {
        try {
          const result = await solver[call]?.(...args);
          return { name, result: result as Record<string, unknown>, met };
        } catch (error) {
          const { cause } = error as { cause?: Error };
          const said = `${String(error)} ${cause?.message ?? ''}`.trim();
          if (met.length >= again || !isBrokenConnection(said)) return { name, error: said, met };
          met.push(said);
          await delay(200);
        }
      }
    }),
  );
  return { calls, answers };
}

/** As `fetch` says it. */
export function isBrokenConnection(said: string): boolean {
  return /fetch failed|terminated|ECONNRE|socket/i.test(said);
}

type NpmSolver = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Its addresses are getters of the class: a subclass points them at the simulator. */
export function npmSolver(url: string, key = KEY, pace = PACE): NpmSolver {
  const library = createRequire(import.meta.url)('@2captcha/captcha-solver') as {
    Solver: new (key: string, pollMs: number) => object;
  };
  const { Solver } = library;
  class LoopbackSolver extends Solver {
    get in(): string {
      return `${url}/in.php`;
    }
    get res(): string {
      return `${url}/res.php`;
    }
  }
  return new LoopbackSolver(key, 5_000 * pace) as unknown as NpmSolver;
}

export interface Answer {
  name: string;
  /** Broken connections after which it was called again. */
  met?: string[];
  result?: Record<string, unknown>;
  error?: string;
}

interface Plan {
  module: string;
  class: string;
  construct: Record<string, unknown>;
  calls: readonly Pick<Call, 'name' | 'call' | 'args' | 'kwargs'>[];
  pace?: number;
  again?: number;
}

/** Runs a plan in a Python of its own (`drive.py`). */
export async function drive(python: string, plan: Plan, more: Record<string, string> = {}): Promise<Answer[]> {
  const env = { ...process.env, NO_PROXY: '*', no_proxy: '*', ...more };
  const input = JSON.stringify({ pace: PACE, again: 0, ...plan });
  const output = await runProgram(python, [join(import.meta.dirname, 'drive.py')], env, input);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Answer);
}

async function told(
  simulator: Simulator,
  calls: readonly Call[],
  answers: Answer[],
  idOf: (result: Record<string, unknown>) => string,
): Promise<Outcome[]> {
  const { submissions } = await simulator.control.ledger();
  return calls.map((call) => {
    const { result, error } = answers.find(({ name }) => name === call.name) ?? { error: 'said nothing' };
    if (result === undefined || result === null) return { call, error: error ?? 'no result' };
    const id = idOf(result);
    const line = submissions.find((line) => line.id === id);
    return { call, result: { ...result, id }, ...(line === undefined ? {} : { line }) };
  });
}

async function startTlsFront(url: string): Promise<{ host: string; stop(): Promise<void> }> {
  const { port } = new URL(url);
  const server = createTlsServer({ cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY }, (socket) => {
    const target = connect(Number(port), '127.0.0.1');
    socket.pipe(target).pipe(socket);
    socket.once('error', () => target.destroy());
    target.once('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
