/** Step 2: whether callbacks come at all, how, and what the provider does when they are not taken. */
import { randomBytes } from 'node:crypto';
import type { Observations, Question } from '../question.ts';
import type { Behaviour, Received, Receiver } from '../receiver.ts';
import { pause, solution, solve, submit, type Session, type Solved } from '../session.ts';
import { V2 } from './tasks.ts';

const NAMES: Readonly<Record<Exclude<Behaviour, 'ok'>, string>> = {
  fail: 'status 500',
  hang: 'silence',
  reset: 'a reset',
};

export const CALLBACKS: readonly Question[] = [
  {
    id: 'callback',
    step: 2,
    asks: 'Does a callback come; by which verb, with which fields; can the answer be read as well?',
    mayCost: 1,
    needs: 'callback',
    ask: askArrival,
  },
  {
    id: 'callback of an unregistered host',
    step: 2,
    asks: 'Is a callback host refused that nobody registered?',
    mayCost: 1,
    async ask(session) {
      const submitted = await submit(session, { ...V2, pingback: 'https://unregistered.example.com/callback' });
      const word = submitted.kind === 'accepted' ? 'accepted' : submitted.word;
      if (submitted.kind === 'accepted') await solution(session, submitted.id);
      return { 'an unregistered host': word, ...(word.startsWith('ERROR') ? { pingbackRefusal: word } : {}) };
    },
  },
  ...(['fail', 'hang', 'reset'] as const).map((behaviour): Question => ({
    id: `callback answered by ${NAMES[behaviour]}`,
    step: 2,
    asks: `Is a callback tried again that met ${NAMES[behaviour]}?`,
    mayCost: 1,
    needs: 'callback',
    ask: (session) => askRetry(session, behaviour),
  })),
  {
    id: 'callback URL with a query',
    step: 2,
    asks: 'Is a query of ours kept, and may the URL be long?',
    mayCost: 1,
    needs: 'callback',
    async ask(session) {
      const { received } = await submitWithCallback(session, 'query', `?x=1&y=${'z'.repeat(100)}`);
      const kept = received?.fields.get('x') === '1' && received.fields.get('y')?.length === 100;
      return { 'a query in the callback URL': received === undefined ? 'no callback' : kept ? 'kept' : 'lost' };
    },
  },
];

async function askArrival(session: Session): Promise<Observations> {
  const { refused, received, solved } = await submitWithCallback(session, 'arrives');
  if (refused !== undefined) return { pingback: 'refused', pingbackRefusal: refused };
  if (received === undefined) return { pingback: 'ignored' };
  return { pingback: 'works', ...arrivalOf(received, solved) };
}

function arrivalOf(received: Received, solved: Solved | undefined): Observations {
  const names = [...received.fields.keys()].map((name) => (/^[a-z_A-Z]{1,32}$/.test(name) ? name : '?'));
  return {
    pingbackVerb: verbOf(received),
    'fields of a callback': names.toSorted().join(','),
    'code of a callback': sameAnswer(received, solved),
    'headers of a callback': received.headers.filter((name) => /^[a-z-]{1,32}$/.test(name)).join(','),
  };
}

function verbOf({ verb, type, inQuery }: Received): string {
  if (verb === 'GET' || inQuery) return verb === 'GET' ? 'GET' : `${verb} with a query`;
  if (type.includes('json')) return 'JSON';
  return type.startsWith('multipart/') ? 'MULTIPART' : 'FORM';
}

function sameAnswer({ fields }: Received, solved: Solved | undefined): string {
  if (solved?.kind !== 'solved') return 'nothing to compare with';
  const polled = String(solved.members['request'] ?? solved.members['result']);
  const code = fields.get('code') ?? '';
  if (code === polled) return 'as polled';
  return code.replaceAll(' ', '+') === polled ? 'as polled, with + as a space' : 'not as polled';
}

/** How often it came within the time that callbacks are waited for. */
async function askRetry(session: Session, behaviour: Exclude<Behaviour, 'ok'>): Promise<Observations> {
  const point = `deliveries that met ${NAMES[behaviour]}`;
  const name = nameFor(behaviour);
  receiverOf(session).behave(name, behaviour);
  const { refused } = await submitWithCallback(session, name);
  if (refused !== undefined) return { [point]: refused };
  await pause(session, session.target.callbackWaitMs);
  return { [point]: String(receivedBy(session, name).length) };
}

interface CalledBack {
  refused?: string;
  received?: Received;
  solved?: Solved;
}

async function submitWithCallback(session: Session, prefix: string, query = ''): Promise<CalledBack> {
  const name = prefix.includes('-') ? prefix : nameFor(prefix);
  const submitted = await submit(session, { ...V2, pingback: `${session.target.callback?.url}/${name}${query}` });
  if (submitted.kind !== 'accepted') return { refused: submitted.word };
  const solved = await solution(session, submitted.id);
  const endMs = performance.now() + session.target.callbackWaitMs;
  while (receivedBy(session, name).length === 0 && performance.now() < endMs) await pause(session, 20);
  const [received] = receivedBy(session, name);
  return { solved, ...(received === undefined ? {} : { received }) };
}

/** Nobody else can call a name that nobody else knows. */
const nameFor = (prefix: string): string => `${prefix}-${randomBytes(8).toString('hex')}`;

function receiverOf({ target }: Session): Receiver {
  if (target.callback === undefined) throw new Error('asked without a callback URL');
  return target.callback.receiver;
}

const receivedBy = (session: Session, name: string): Received[] =>
  receiverOf(session).received.filter((call) => call.name === name);

/** Step 7: how often and how long a result can be read. */
export const READING: Question = {
  id: 'reading',
  step: 7,
  asks: 'Can a result be read twice, after ten minutes, after an hour? (The last two with --patient.)',
  mayCost: 1,
  async ask(session, { patient }) {
    const { id, kind, ...rest } = await solve(session, V2);
    if (kind !== 'solved' || id === undefined) return { reading: 'word' in rest ? rest.word : 'not solved' };
    if ((await readAgain(session, id)) !== 'readable') return { reading: 'once' };
    if (patient === undefined) return { 'reading twice': 'readable' };
    await pause(session, 600_000);
    const later = await readAgain(session, id);
    if (later !== 'readable') return { reading: 'tenMinutes' };
    await pause(session, 3_000_000);
    return { reading: 'forEver', 'reading after an hour': await readAgain(session, id) };
  },
};

async function readAgain(session: Session, id: string): Promise<string> {
  const again = await solution({ ...session, target: { ...session.target, patienceMs: 1 } }, id);
  return again.kind === 'solved' ? 'readable' : again.word;
}
