/**
 * A run against one provider: sends calls, keeps the budget, remembers every exchange in redacted form, and solves. A
 * submission counts as paid unless its refusal is certain: what is unclear may have been accepted. A run against the
 * simulator is a session like any other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { exchange, type Call, type Encoding, type Reply } from './exchange.ts';
import type { Receiver } from './receiver.ts';
import { redacted, shapeOf, wordOf, type Shape } from './shape.ts';

export interface Target {
  url: string;
  key: string;
  /** How many submissions may be paid for. */
  budget: number;
  timeoutMs: number;
  /** Between polls, and how long a solution is waited for. */
  pollMs: number;
  patienceMs: number;
  /** How long a callback is waited for after the answer was polled. */
  callbackWaitMs: number;
  /** Where callbacks arrive, and the address that the provider knows it by. */
  callback?: { receiver: Receiver; url: string };
  signal?: AbortSignal;
}

/** An exchange as it may be stored: no key, no answer, no address of ours. */
export interface Recorded {
  question: string;
  call: string;
  /** Names of the fields that were sent. */
  fields: string[];
  status: number;
  type: string;
  reply: string;
}

export type Submitted = { kind: 'accepted'; id: string; reply: Reply } | { kind: 'refused' | 'unclear'; word: string };
export type Solved =
  | { kind: 'solved'; reply: Reply; members: Readonly<Record<string, unknown>> }
  | { kind: 'word'; word: string };

export class BudgetSpent extends Error {}

export interface Session {
  readonly target: Target;
  /** The question that is being asked; names the exchanges. */
  question: string;
  paid: number;
  readonly recorded: Recorded[];
}

export const createSession = (target: Target): Session => ({ target, question: '', paid: 0, recorded: [] });

export async function send(session: Session, call: Call): Promise<Reply> {
  const { url, timeoutMs, signal } = session.target;
  signal?.throwIfAborted();
  const reply = await exchange(url, call, timeoutMs);
  const how = `${call.verb} ${call.encoding} ${call.path}`;
  const fields = [...Object.keys(call.fields), ...Object.keys(call.query ?? {})];
  const { status, type } = reply;
  const kept = redacted(reply.text).slice(0, 500);
  session.recorded.push({
    question: session.question,
    call: how,
    fields,
    status,
    type: type.slice(0, 60),
    reply: kept,
  });
  return reply;
}

/** Waits, unless the run is interrupted. */
export function pause({ target: { signal } }: Session, forMs: number): Promise<void> {
  return delay(forMs, undefined, signal === undefined ? {} : { signal });
}

/** `res.php` by POST with everything in the body, or as `how` says. */
export function ask(
  session: Session,
  fields: Readonly<Record<string, string>>,
  how: Partial<Pick<Call, 'verb' | 'encoding'>> = {},
): Promise<Reply> {
  const sent = { key: session.target.key, ...fields };
  return send(session, { path: 'res.php', verb: 'POST', encoding: 'form', fields: sent, ...how });
}

export interface How {
  encoding?: Encoding;
  file?: Uint8Array<ArrayBuffer>;
}

/** Submits with `json=1`; throws `BudgetSpent` in place of a call that might be one too many. */
export function submit(session: Session, fields: Readonly<Record<string, string>>, how: How = {}): Promise<Submitted> {
  if (session.paid >= session.target.budget) throw new BudgetSpent();
  return submitInvalid(session, fields, how);
}

/** Submits what every document says is refused, whatever the budget; should it be accepted, it counts. */
export async function submitInvalid(
  session: Session,
  fields: Readonly<Record<string, string>>,
  how: How = {},
): Promise<Submitted> {
  const sent = { key: session.target.key, json: '1', ...fields };
  const reply = await send(session, { path: 'in.php', verb: 'POST', encoding: 'form', fields: sent, ...how });
  const submitted = readSubmitted(reply);
  if (submitted.kind !== 'refused') session.paid += 1;
  return submitted;
}

function readSubmitted(reply: Reply): Submitted {
  const word = wordOf(reply);
  const { id } = shapeOf(reply);
  if (reply.status === 200 && id !== undefined) return { kind: 'accepted', id, reply };
  const certain = /^(ERROR|IP_BANNED|MAX_USER_TURN)/.test(word) || /^http (4\d\d|503)$/.test(word);
  return { kind: certain ? 'refused' : 'unclear', word };
}

/** Polls until there is an answer or a final word, or patience ends. */
export async function solution(session: Session, id: string): Promise<Solved> {
  const { pollMs, patienceMs } = session.target;
  const endMs = performance.now() + patienceMs;
  while (performance.now() < endMs) {
    await pause(session, pollMs);
    const reply = await ask(session, { action: 'get', id, json: '1' });
    const read = readSolved(reply, shapeOf(reply));
    if (read !== undefined) return read;
  }
  return { kind: 'word', word: 'not solved in time' };
}

/** Undefined: ask again. */
function readSolved(reply: Reply, { word, members }: Shape): Solved | undefined {
  if (word !== undefined) return word === 'CAPCHA_NOT_READY' ? undefined : { kind: 'word', word };
  if (members === undefined) return undefined;
  return 'request' in members || 'result' in members ? { kind: 'solved', reply, members } : undefined;
}

/** A submission and its answer; a refusal as a word. */
export async function solve(
  session: Session,
  fields: Readonly<Record<string, string>>,
  how: How = {},
): Promise<Solved & { id?: string }> {
  const submitted = await submit(session, fields, how);
  if (submitted.kind !== 'accepted') return { kind: 'word', word: submitted.word };
  return { ...(await solution(session, submitted.id)), id: submitted.id };
}
