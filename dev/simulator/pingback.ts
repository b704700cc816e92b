/**
 * Sends pingbacks: at the scripted moments or on command, by GET, form, JSON or multipart, faithful, forged, twice, or
 * never. Whether the provider sends any is a switch (`registration.ts`); on command it always does.
 * Like the provider it does not care what becomes of them, unless the script says to try again.
 */
import { field } from './form.ts';
import { request as httpRequest } from 'node:http';
import { sendsPingback } from './registration.ts';
import type { PingbackStep } from './script.ts';
import type { Switches } from './switches.ts';
import { later, type State, type Task } from './state.ts';

const DELIVERY_TIMEOUT_MS = 10_000;

/** A delivery that belongs to no task of ours: any URL, id and code. */
export interface ForeignPingback {
  url: string;
  id: string;
  code: unknown;
  /** Fields beside these two. */
  more?: Record<string, string>;
}

/** Starts what the script wants after the task is solved. */
export function schedulePingbacks(state: State, task: Task): void {
  if (!sendsPingback(state, task.fields)) return;
  for (const step of task.script.pingbacks ?? [{}]) {
    if (step.beforeReply === true || step.onCommand === true) continue;
    if (step.afterMs === undefined) void deliverPingback(state, task, step);
    else later(state, step.afterMs, () => void deliverPingback(state, task, step));
  }
}

/** Sends one pingback of a task and writes it into the books. Resolves with the receiver's status (0: none came). */
export async function deliverPingback(state: State, task: Task, step: PingbackStep, tried = 0): Promise<number> {
  const id = step.id ?? task.id;
  const code = step.code ?? codeOf(task);
  const foreign = { url: field(task.fields, 'pingback'), id, code, ...agentOf(state, task) };
  const receipt = await send(state, foreign, step);
  const method = step.method ?? state.switches.pingbackVerb;
  task.line.pingbacks.push({ timeMs: Date.now(), method, id, code, ...receipt });
  count(state, receipt.status);
  const { retry } = step;
  if (receipt.status !== 200 && retry !== undefined && tried < retry.times) {
    later(state, retry.everyMs, () => void deliverPingback(state, task, step, tried + 1));
  }
  return receipt.status;
}

function codeOf({ outcome }: Task): unknown {
  if (outcome === undefined) return 'CAPCHA_NOT_READY';
  return 'code' in outcome ? outcome.code : outcome.request;
}

/** The agent that the answer is bound to, where callbacks tell it (switch `userAgent`). */
function agentOf({ switches }: State, { outcome }: Task): { more?: Record<string, string> } {
  const told = switches.userAgent === 'callback' && outcome !== undefined && 'userAgent' in outcome;
  return told && outcome.userAgent !== undefined ? { more: { [switches.userAgentName]: outcome.userAgent } } : {};
}

/** Sends a pingback that no task asked for. */
export async function deliverForeign(state: State, foreign: ForeignPingback, step: PingbackStep): Promise<number> {
  const { status } = await send(state, foreign, step);
  count(state, status);
  return status;
}

function count(state: State, status: number): void {
  state.ledger.totals.pingbacks += 1;
  if (status === 200) state.ledger.totals.pingbacksAnswered200 += 1;
}

type Verb = Switches['pingbackVerb'];

interface Message {
  method: 'GET' | 'POST';
  url: string;
  body: string;
  type: string;
}

const BOUNDARY = '----pingback-7383820914';

function messageOf({ url, id, code, more = {} }: ForeignPingback, step: PingbackStep, verb: Verb): Message {
  const text = typeof code === 'string' ? code : JSON.stringify(code);
  switch (verb) {
    case 'FORM': {
      const body = new URLSearchParams({ id, code: text, ...more }).toString();
      return { method: 'POST', url, body, type: 'application/x-www-form-urlencoded' };
    }
    case 'JSON':
      return { method: 'POST', url, body: JSON.stringify({ id, code, ...more }), type: 'application/json' };
    case 'MULTIPART': {
      const parts = Object.entries({ id, code: text, ...more }).map(
        ([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      );
      const type = `multipart/form-data; boundary=${BOUNDARY}`;
      return { method: 'POST', url, body: `${parts.join('')}--${BOUNDARY}--\r\n`, type };
    }
    case 'GET':
    default: {
      const others = Object.entries(more).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
      const query = `id=${encodeURIComponent(id)}&code=${encodeQuery(text, step.encoding)}${others.join('')}`;
      return { method: 'GET', url: `${url}${url.includes('?') ? '&' : '?'}${query}`, body: '', type: '' };
    }
  }
}

function encodeQuery(text: string, encoding: PingbackStep['encoding']): string {
  if (encoding === 'raw') return text;
  return encoding === 'form' ? new URLSearchParams({ code: text }).toString().slice(5) : encodeURIComponent(text);
}

interface Receipt {
  status: number;
  error?: string;
}

function send({ agent, switches }: State, pingback: ForeignPingback, step: PingbackStep): Promise<Receipt> {
  const message = messageOf(pingback, step, step.method ?? switches.pingbackVerb);
  const headers =
    message.type === '' ? {} : { 'content-type': message.type, 'content-length': Buffer.byteLength(message.body) };
  return new Promise((resolve) => {
    try {
      const request = httpRequest(message.url, { method: message.method, headers, agent }, (response) => {
        response.resume();
        response.once('end', () => resolve({ status: response.statusCode ?? 0 }));
        response.once('error', (error) => resolve({ status: 0, error: error.message }));
      });
      request.setTimeout(DELIVERY_TIMEOUT_MS, () => request.destroy(new Error('time-out')));
      request.once('error', (error) => resolve({ status: 0, error: error.message }));
      request.end(message.body);
    } catch (error) {
      resolve({ status: 0, error: String(error) });
    }
  });
}
