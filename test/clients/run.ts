/**
 * Runs every call of a client against a simulator and says what became of each: what the client made of the answer, and
 * what the simulator's books have about it. Used by the tests of this tier and by `record.ts`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  if (client === '@2captcha/captcha-solver') return withSimulator('family', (simulator) => runNpm(simulator));
  if (client === 'captchaai') return withSimulator('official', (simulator) => runOfficial(simulator, python));
  return withSimulator('family', (simulator, place) => runFamily(client, { simulator, python, place }));
}

async function runOfficial(simulator: Simulator, python: string): Promise<Outcome[]> {
  const plan = { module: 'captchaai', class: 'CaptchaAI', construct: officialSettings(simulator), calls: OFFICIAL };
  const answers = await drive(python, plan);
  return told(simulator, OFFICIAL, answers, ({ task_id }) => String(task_id));
}

export function officialSettings({ url }: Simulator): Record<string, unknown> {
  return { api_key: KEY, base_url: url };
}

interface Place {
  simulator: Simulator;
  python: string;
  place: string;
}

/** These clients know no address but `https://host`: a TLS front on loopback, whose certificate they are told to trust. */
async function runFamily(client: ClientName, { simulator, python, place }: Place): Promise<Outcome[]> {
  const certificate = join(place, 'loopback.pem');
  const imagePath = join(place, 'captcha.gif');
  await writeFile(certificate, LOOPBACK_CERTIFICATE);
  await writeFile(imagePath, IMAGE_BYTES);
  await writeFile(join(place, 'captcha.mp3'), IMAGE_BYTES);
  const front = await startTlsFront(simulator.url);
  try {
    const two = client === '2captcha-python';
    const calls = (two ? TWOCAPTCHA : SOLVECAPTCHA)(imagePath);
    const construct = { apiKey: KEY, server: front.host, extendedResponse: true };
    const named = two
      ? { module: 'twocaptcha', class: 'TwoCaptcha' }
      : { module: 'solvecaptcha', class: 'Solvecaptcha' };
    const answers = await drive(python, { ...named, construct, calls }, { REQUESTS_CA_BUNDLE: certificate });
    return await told(simulator, calls, answers, ({ captchaId }) => idIn(captchaId));
  } finally {
    await front.stop();
  }
}

/** The clients of the family cut an id out of plain text. */
const idIn = (text: unknown): string => /\d+/.exec(String(text))?.[0] ?? '';

async function runNpm(simulator: Simulator): Promise<Outcome[]> {
  const solver = npmSolver(simulator.url);
  const answers = await Promise.all(
    NPM.map(async ({ name, call, args }): Promise<Answer> => {
      try {
        const result = await solver[call]?.(...args);
        return { name, result: result as Record<string, unknown> };
      } catch (error) {
        return { name, error: String(error) };
      }
    }),
  );
  return told(simulator, NPM, answers, ({ id }) => String(id));
}

type NpmSolver = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Its addresses are getters of the class: a subclass points them at the simulator. */
export function npmSolver(url: string): NpmSolver {
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
  return new LoopbackSolver(KEY, 5_000 * PACE) as unknown as NpmSolver;
}

interface Answer {
  name: string;
  result?: Record<string, unknown>;
  error?: string;
}

interface Plan {
  module: string;
  class: string;
  construct: Record<string, unknown>;
  calls: readonly Pick<Call, 'name' | 'call' | 'args' | 'kwargs'>[];
}

/** Runs a plan in a Python of its own (`drive.py`). */
export async function drive(python: string, plan: Plan, more: Record<string, string> = {}): Promise<Answer[]> {
  const env = { ...process.env, NO_PROXY: '*', no_proxy: '*', ...more };
  const input = JSON.stringify({ ...plan, pace: PACE });
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
