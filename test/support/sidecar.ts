/**
 * A callback sidecar in the test's own process: the real listener, intake, spool and drainer, on a temporary directory,
 * in front of the model of the API. `api.faults` is how tests take the API down. Requests go over real sockets.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { CallbackResult, Deferral, SpoolFault } from '../../src/callback/hooks.ts';
import type { Limits } from '../../src/callback/limits.ts';
import type { TokenVerifier } from '../../src/callback/middleware/authenticate.ts';
import type { RootFiles } from '../../src/callback/root-files.ts';
import { startCallbackServer } from '../../src/callback/server.ts';
import type { CallbackServer } from '../../src/callback/server.ts';
import type { SpoolFiles } from '../../src/callback/spool/files.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { createPingbackMinter } from '../../src/core/token.ts';
import { createCallbackKeyRing } from '../../src/ops/keys.ts';
import { createModelApi, outage } from './model-api.ts';
import type { ModelApi } from './model-api.ts';

export interface SidecarOptions {
  api?: ModelApi;
  /** Kept when the sidecar stops, so that another can be started on it. */
  spoolDir?: string;
  limits?: Partial<Limits>;
  /** Default: all. */
  namespaces?: readonly string[];
  rootFiles?: RootFiles;
  warmUpNamespace?: string;
  files?: SpoolFiles;
  /** Answers in place of the model, for calls that hang. */
  execute?: (request: ApiRequest, signal: AbortSignal | undefined) => Promise<ApiReply>;
  /** Default: the ring that `callbackPath` signs with. */
  keys?: TokenVerifier;
}

export interface Reply {
  status: number;
  body: string;
  headers: NodeJS.Dict<string | string[]>;
}

export interface Sidecar {
  server: CallbackServer;
  api: ModelApi;
  results: CallbackResult[];
  faults: { fault: SpoolFault; code: string }[];
  crashes: string[];
  /** How many connections were closed before their time. */
  dropped(): number;
  /** One for each callback that was taken after it had been answered 503. */
  lateAnswers: string[];
  /** Why callbacks were not applied at once. */
  deferrals: Deferral[];
  /** Path of the pingback URL for an attempt of this task. */
  pathFor(task: CaptchaTask, attempt?: number): string;
  get(path: string): Promise<Reply>;
  post(path: string, contentType: string | undefined, body: string | Uint8Array): Promise<Reply>;
  /** Sends bytes as they are and returns all that comes back until the connection ends. */
  raw(bytes: string | Uint8Array): Promise<string>;
  stop(): Promise<void>;
}

export const ring = createCallbackKeyRing();
ring.replace([{ kid: 'k1', secret: createHash('sha256').update('test').digest() }]);
const mint = createPingbackMinter({ callbackURL: 'http://sidecar', keys: ring });

/** The path of the pingback URL that the operator would have sent. */
export function callbackPath(task: CaptchaTask, attempt = 1): string {
  return new URL(mint(task.metadata, attempt)!).pathname;
}

/** A directory below the system's temporary one. */
export function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'captcha-spool-'));
}

export async function startSidecar(options: SidecarOptions = {}): Promise<Sidecar> {
  const api = options.api ?? createModelApi(Date.now);
  const spoolDir = options.spoolDir ?? (await temporaryDirectory());
  const results: CallbackResult[] = [];
  const faults: Sidecar['faults'] = [];
  const crashes: string[] = [];
  let dropped = 0;
  const lateAnswers: string[] = [];
  const deferrals: Deferral[] = [];
  const execute = options.execute ?? ((request: ApiRequest) => Promise.resolve(api.handle(request)));
  const server = await startCallbackServer({
    address: { host: '127.0.0.1', port: 0 },
    spoolDir,
    keys: options.keys ?? ring,
    client: { execute: (request, call) => execute(request as ApiRequest, call?.signal) },
    hooks: {
      onResult: (result) => results.push(result),
      onLateAnswer: () => lateAnswers.push('late'),
      onAnswered: () => undefined,
      onVerdict: () => undefined,
      onLetterCreated: () => undefined,
      onDeferred: (why) => deferrals.push(why),
      onConnectionDropped: () => dropped++,
      onSpoolFault: (fault, code) => faults.push({ fault, code }),
      onCrash: (place, name) => crashes.push(`${place}: ${name}`),
    },
    namespaces: options.namespaces,
    rootFiles: options.rootFiles,
    ...(options.warmUpNamespace === undefined ? {} : { warmUpNamespace: options.warmUpNamespace }),
    // A machine that is held up answers late; what that means is for tests that set the time themselves.
    limits: { answerBudgetMs: 30_000, ...options.limits },
    ...(options.files === undefined ? {} : { files: options.files }),
  });
  const send = sender(server.port);
  return {
    server,
    api,
    results,
    faults,
    crashes,
    dropped: () => dropped,
    lateAnswers,
    deferrals,
    pathFor: callbackPath,
    get: (path) => send('GET', path),
    post: (path, contentType, body) => send('POST', path, { contentType, body }),
    raw: (bytes) => rawExchange(server.port, bytes),
    async stop() {
      await server.stop();
      if (options.spoolDir === undefined) await rm(spoolDir, { recursive: true, force: true });
    },
  };
}

/** An API call that hangs until it is broken off; a sidecar that stops may begin one that is broken off already. */
export function hangingCall(signal: AbortSignal | undefined): Promise<ApiReply> {
  return new Promise((resolve) => {
    const end = (): void => resolve(outage(true));
    if (signal?.aborted === true) end();
    else signal?.addEventListener('abort', end);
  });
}

/** Takes the API down; the returned function brings it back. */
export function takeDown(api: ModelApi): () => void {
  const before = api.faults;
  api.faults = [...before, () => outage()];
  return () => {
    api.faults = before;
  };
}

interface Sent {
  contentType: string | undefined;
  body: string | Uint8Array;
}

function sender(port: number) {
  return (method: string, path: string, sent?: Sent): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const headers = sent?.contentType === undefined ? {} : { 'content-type': sent.contentType };
      const call = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      });
      call.on('error', reject);
      call.end(sent?.body);
    });
}

function rawExchange(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}
