/**
 * A status writer in the harness that the tortured sidecar talks to over a unix socket: millions of tasks, each named
 * `task-<n>`, submitted, and solved by the first patch whose tests hold or the first PUT of the current version. It
 * keeps the API's rules for conditional writes and nothing else: no transition rule makes a solution final here, so a
 * sidecar that does not test before it writes is seen writing twice. Stopping it is an outage; what it knows stays.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { ApiReply, ApiRequest, JsonPatchOp } from '../../src/core/protocol.ts';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { T0, aTask } from '../support/builders.ts';
import { refusal } from '../support/model-api.ts';

export interface StandIn {
  start(): Promise<void>;
  /** Drops every connection and refuses new ones. */
  stop(): Promise<void>;
  up(): boolean;
  /** How many times a solution was written, by task. */
  effects: Uint8Array;
  /** Solutions that are not their task's, and requests that no callback should lead to. */
  wrong: string[];
}

export const codeOf = (n: number): string => `solution-of-${n}`;
export const nameOf = (n: number): string => `task-${n}`;
export const uidOf = (n: number): string => `b7b2a1c0-0000-4000-8000-${String(n).padStart(12, '0')}`;

const submitted = aTask().named('NAME').uid('UID').intended(T0).submitted(T0);
const VERSION = { open: '100', solved: '101' };
const TEMPLATE = {
  open: templateOf(submitted.build(), VERSION.open),
  solved: templateOf(submitted.solved(T0, { value: 'CODE' }).build(), VERSION.solved),
};

function templateOf(task: CaptchaTask, resourceVersion: string): string {
  return JSON.stringify({ ...task, metadata: { ...task.metadata, resourceVersion } });
}

export function createStandIn(path: string, tasks: number): StandIn {
  const effects = new Uint8Array(tasks);
  const wrong: string[] = [];
  const sockets = new Set<Socket>();
  let server: Server | undefined;

  const objectOf = (n: number): string =>
    (effects[n] === 0 ? TEMPLATE.open : TEMPLATE.solved)
      .replace('"NAME"', `"${nameOf(n)}"`)
      .replace('"UID"', `"${uidOf(n)}"`)
      .replace('"CODE"', `"${codeOf(n)}"`);

  const holds = (n: number, op: JsonPatchOp): boolean => {
    if (op.op !== 'test') return true;
    if (op.path === '/metadata/uid') return op.value === uidOf(n);
    if (op.path === '/status/phase') return op.value === (effects[n] === 0 ? 'Submitted' : 'Solved');
    return op.path !== '/status/attempts' || op.value === 1;
  };
  const patch = (n: number, ops: JsonPatchOp[]): string => {
    if (!ops.every((op) => holds(n, op))) return JSON.stringify(refusal(422, 'Invalid'));
    const op = ops.find(({ path: at }) => at === '/status/solution');
    return solve(n, (op?.value as { value?: string } | undefined)?.value);
  };
  const solve = (n: number, value: string | undefined): string => {
    if (value !== codeOf(n)) wrong.push(`task ${n} was given another task's solution, or none`);
    effects[n]!++;
    return okText(objectOf(n));
  };
  const replace = (n: number, { metadata, status }: CaptchaTask): string => {
    // Without a solution it asks for a poll (a damaged record was found).
    if (status?.solution === undefined) return okText(objectOf(n));
    const { uid = uidOf(n), resourceVersion } = metadata as Partial<CaptchaTask['metadata']>;
    const current = effects[n] === 0 ? VERSION.open : VERSION.solved;
    const stale = resourceVersion !== undefined && resourceVersion !== current;
    return stale || uid !== uidOf(n)
      ? JSON.stringify(refusal(409, 'Conflict'))
      : solve(n, status.solution.value ?? undefined);
  };
  const answer = (request: ApiRequest): string => {
    const n = 'name' in request ? Number(request.name.slice(5)) : Number.NaN;
    if (request.resource.plural !== CAPTCHA_TASK.plural || !(n < tasks)) return unexpected(request);
    if (request.verb === 'get') return okText(objectOf(n));
    if (request.verb === 'replaceStatus') return replace(n, request.object as CaptchaTask);
    return request.verb === 'patchStatus' ? patch(n, request.patch) : unexpected(request);
  };
  const unexpected = (request: ApiRequest): string => {
    wrong.push(`an unexpected ${request.verb} of ${request.resource.plural}`);
    return JSON.stringify(refusal(400, 'BadRequest'));
  };
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    onLines(socket, (line) => {
      const { id, request } = JSON.parse(line) as { id: number; request: ApiRequest };
      if (!socket.destroyed) socket.write(`{"id":${id},"reply":${answer(request)}}\n`);
    });
  };
  return {
    effects,
    wrong,
    up: () => server !== undefined,
    async start() {
      const listening = createServer(serve);
      await new Promise<void>((resolve) => listening.listen(path, resolve));
      server = listening;
    },
    async stop() {
      const stopping = server;
      server = undefined;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => (stopping === undefined ? resolve(undefined) : stopping.close(resolve)));
    },
  };
}

function okText(object: string): string {
  return `{"ok":true,"object":${object}}`;
}

function onLines(socket: Socket, onLine: (line: string) => void): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
}

/** The sidecar's end of the socket: what `KubeClient.execute` is to the product. */
export function standInClient(connect: () => Socket): (request: ApiRequest) => Promise<ApiReply> {
  const outage: ApiReply = { ok: false, status: 0, reason: 'Unreachable', message: '', transient: true, sent: true };
  let socket: Socket | undefined;
  let pending = new Map<number, (reply: ApiReply) => void>();
  let nextId = 0;
  const open = (): Socket => {
    const opened = connect();
    const mine = pending;
    opened.on('error', () => undefined);
    opened.on('close', () => {
      if (socket === opened) {
        socket = undefined;
        pending = new Map();
      }
      for (const resolve of mine.values()) resolve(outage);
    });
    onLines(opened, (line) => {
      const { id, reply } = JSON.parse(line) as { id: number; reply: ApiReply };
      mine.get(id)?.(reply);
      mine.delete(id);
    });
    return opened;
  };
  return (request) =>
    new Promise((resolve) => {
      socket ??= open();
      const id = nextId++;
      pending.set(id, resolve);
      socket.write(`${JSON.stringify({ id, request })}\n`);
    });
}
