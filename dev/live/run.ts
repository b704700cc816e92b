/**
 * Asks the questions: first a simulator, which says what is expected and costs nothing, then the provider, then a
 * simulator that was set as the provider seems to be, which says what no switch can express. Stops at once where the
 * key is refused. Knows no argv and writes no files: `dev/bin/live.ts` does.
 */
import { startSimulator } from '../simulator/index.ts';
import { SWITCHES, type SwitchName, type Switches } from '../simulator/switches.ts';
import { AccountRefused, type Materials, type Observations, type Question } from './question.ts';
import { QUESTIONS } from './questions/index.ts';
import { V2 } from './questions/tasks.ts';
import { startReceiver } from './receiver.ts';
import { BudgetSpent, createSession, type Recorded, type Session, type Target } from './session.ts';

export interface Asked {
  question: Question;
  observations: Observations;
  /** Why it was not asked, or not to the end. */
  skipped?: string;
}

export interface Run {
  asked: Asked[];
  paid: number;
  recorded: Recorded[];
  /** The key was refused, or the run was interrupted: the rest was not asked. */
  stopped?: string;
}

/** Why a question cannot be asked; undefined where it can. `budget`: what is left. */
export function obstacle(
  question: Question,
  given: { materials: Materials; callback: boolean; budget: number },
): string | undefined {
  const { needs, mayCost } = question;
  if (needs === 'callback' ? !given.callback : needs !== undefined && given.materials[needs] === undefined) {
    return `needs ${NEEDS[needs ?? 'callback']}`;
  }
  const cost = mayCost === 'threads' ? 2 : mayCost;
  return cost > given.budget
    ? `may cost ${mayCost === 'threads' ? 'threads + 1' : mayCost}, more than is left`
    : undefined;
}

const NEEDS: Readonly<Record<NonNullable<Question['needs']>, string>> = {
  callback: 'CALLBACK_URL, a public address that leads to LIVE_BIND_PORT',
  proxy: 'LIVE_PROXY',
  v2Enterprise: 'LIVE_V2_ENTERPRISE',
  v3Enterprise: 'LIVE_V3_ENTERPRISE',
  python: 'LIVE_PYTHON, a Python that has the package captchaai',
  patient: '--patient',
};

interface How {
  /** Is told each question as soon as it was asked. */
  told?: (asked: Asked) => void;
  /** Default: all. */
  questions?: readonly Question[];
}

/** Asks one provider everything that it may be asked. */
export async function askAll(target: Target, materials: Materials, how: How = {}): Promise<Run> {
  const { told, questions = QUESTIONS } = how;
  const session = createSession(target);
  const asked: Asked[] = [];
  for (const question of questions) {
    const budget = target.budget - session.paid;
    const skipped = obstacle(question, { materials, callback: target.callback !== undefined, budget });
    const answer = skipped === undefined ? await askOne(session, question, materials) : { observations: {}, skipped };
    const line = { question, ...answer };
    asked.push(line);
    told?.(line);
    if ('stop' in answer) return { asked, paid: session.paid, recorded: session.recorded, stopped: answer.stop };
  }
  return { asked, paid: session.paid, recorded: session.recorded };
}

type Answer = Pick<Asked, 'observations' | 'skipped'> & { stop?: string };

async function askOne(session: Session, question: Question, materials: Materials): Promise<Answer> {
  session.question = question.id;
  try {
    return { observations: await question.ask(session, materials) };
  } catch (error) {
    if (error instanceof BudgetSpent) return { observations: {}, skipped: 'the budget is spent' };
    if (error instanceof AccountRefused) return { observations: {}, skipped: error.message, stop: error.message };
    if (session.target.signal?.aborted === true)
      return { observations: {}, skipped: 'interrupted', stop: 'interrupted' };
    // What was paid for so far must still be reported. The message may quote a reply, so only the kind is kept.
    return { observations: {}, skipped: `failed by ${error instanceof Error ? error.name : 'a fault'}` };
  }
}

const SIMULATED_KEY = '0123456789abcdef0123456789abcdef';
/** More than every question may cost together. */
const SIMULATED_BUDGET = 100;

/** What makes the simulator's official dialect like a provider: switches, and words for the same refusals. */
export interface Likeness {
  switches: Partial<Switches>;
  words: Readonly<Record<string, string>>;
}

export interface Point {
  question: string;
  point: string;
  expected: string;
  seen: string;
}

/** What was seen, beside what a simulator of the official dialect, changed like this, says to the same questions. */
export async function besideSimulator(run: Run, materials: Materials, likeness?: Likeness): Promise<Point[]> {
  const simulator = await startSimulator({ dialect: 'official', answerAfterMs: 60, ...likeness });
  const receiver = await startReceiver(0);
  try {
    await simulator.control.account(SIMULATED_KEY, { threads: 1 });
    await simulator.control.account('f'.repeat(32), { state: 'unknown' });
    // A second submission must find the only thread busy, whatever else the machine does.
    await simulator.control.script({ tasks: [{ solveAfterMs: 'asked' }] }, { field: 'pageurl', equals: V2.pageurl });
    const callback = { receiver, url: `http://127.0.0.1:${receiver.port}` };
    const pace = { timeoutMs: 5_000, pollMs: 20, patienceMs: 5_000, callbackWaitMs: 400 };
    const target = { url: simulator.url, key: SIMULATED_KEY, budget: SIMULATED_BUDGET, callback, ...pace };
    const { python: _, patient: __, ...rest } = materials;
    const questions = run.asked.filter(({ skipped }) => skipped === undefined).map(({ question }) => question);
    return compareRuns(await askAll(target, rest, { questions }), run);
  } finally {
    await receiver.stop();
    await simulator.stop();
  }
}

/** What the second run saw, beside what the first did. */
export function compareRuns(expected: Run, seen: Run): Point[] {
  return seen.asked.flatMap(({ question, observations }) => {
    const usual = expected.asked.find((it) => it.question.id === question.id)?.observations ?? {};
    return Object.entries(observations).map(([point, value]) => ({
      question: question.id,
      point,
      expected: usual[point] ?? '(not seen)',
      seen: value,
    }));
  });
}

/** How the simulator comes closest to what was seen. `points`: beside a simulator as it is. */
export function likenessOf(points: readonly Point[]): Likeness {
  const switches = points.filter(({ point, seen }) => isDeviation(point, seen)).map(({ point, seen }) => [point, seen]);
  const words = points.filter(isOtherWord).map(({ expected, seen }) => [expected, seen]);
  return { switches: Object.fromEntries(switches), words: Object.fromEntries(words) };
}

function isDeviation(point: string, value: string): boolean {
  if (!isSwitch(point)) return false;
  const row = SWITCHES[point];
  return (row.values as readonly string[]).includes(value) && row.official !== value;
}

const isSwitch = (point: string): point is SwitchName => Object.hasOwn(SWITCHES, point);

/** Both refuse, and only the word differs. */
function isOtherWord({ point, expected, seen }: Point): boolean {
  return !isSwitch(point) && expected !== seen && [expected, seen].every((word) => /^ERROR_[A-Z_]+$/.test(word));
}
