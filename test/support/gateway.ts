/**
 * A gateway in the test's own process: the real listener, middlewares, submissions and watch, in front of the model of
 * the API. `client.fate` is how tests lose replies or take the API down. Requests go over real sockets.
 */
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import type { CaptchaTask, CaptchaTaskStatus } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { GatewayKeys } from '../../src/gateway/keys.ts';
import type { Limits } from '../../src/gateway/limits.ts';
import { startGateway, type Gateway } from '../../src/gateway/server.ts';
import type { Certificate } from '../../src/ops/certificate.ts';
import type { Endpoint, Result } from '../../src/gateway/state.ts';
import type { ApiRequest } from '../../src/kube/types.ts';
import { createModelApi, type ModelApi } from './model-api.ts';
import { createModelClient, type ModelClient } from './model-client.ts';

export const KEY_A = 'a'.repeat(32);
export const KEY_B = 'b'.repeat(32);

export interface GatewayUnderTest {
  gateway: Gateway;
  api: ModelApi;
  client: ModelClient;
  results: [Endpoint, Result][];
  crashes: string[];
  withdrawn(): number;
  /** Every request of the gateway at the API, watches and lists aside. */
  calls: ApiRequest[];
  url: string;
  in(fields: Record<string, string>, key?: string): Promise<string>;
  res(fields: Record<string, string>, key?: string): Promise<string>;
  post(path: string, contentType: string, body: string | Uint8Array): Promise<{ status: number; body: string }>;
  tasks(): CaptchaTask[];
  /** Somebody else's write: the operator's. */
  finish(task: CaptchaTask, status: Partial<CaptchaTaskStatus>): void;
  stop(): Promise<void>;
}

export interface GatewaySettings {
  api?: ModelApi;
  maxOpenTasks?: number;
  limits?: Partial<Limits>;
  keys?: Partial<GatewayKeys>;
  certificate?: Certificate;
}

/** A connection that is kept would be waited for when the gateway stops. */
const ONCE = { connection: 'close' };
const NAMESPACES: Readonly<Record<string, string>> = { [KEY_A]: 'team-a', [KEY_B]: 'team-b' };
const KEYS: GatewayKeys = {
  ready: () => true,
  count: () => 2,
  fault: () => undefined,
  namespaceOf: (key) => NAMESPACES[key],
  reload: () => Promise.resolve(),
  stop: () => undefined,
};

const LOOPBACK = { host: '127.0.0.1', port: 0 };

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export async function startTestGateway(settings: GatewaySettings = {}): Promise<GatewayUnderTest> {
  const api = settings.api ?? createModelApi(Date.now);
  const client = createModelClient(api);
  const results: [Endpoint, Result][] = [];
  const crashes: string[] = [];
  const calls: ApiRequest[] = [];
  let withdrawn = 0;
  const execute = client.execute.bind(client);
  client.execute = (request, options) => {
    calls.push(request);
    return execute(request, options);
  };
  const gateway = await startGateway({
    address: LOOPBACK,
    tls: settings.certificate && { address: LOOPBACK, certificate: settings.certificate },
    keys: { ...KEYS, ...settings.keys },
    client,
    namespaces: undefined,
    ttlSeconds: 600,
    maxOpenTasks: settings.maxOpenTasks ?? 1_000,
    hooks: {
      onAnswered: (endpoint, result) => results.push([endpoint, result]),
      onTrouble: () => undefined,
      onWithdrawn: () => withdrawn++,
      onCrash: (place, name) => crashes.push(`${place}: ${name}`),
    },
    watchHooks: {},
    ...(settings.limits === undefined ? {} : { limits: settings.limits }),
  });
  const url = `http://127.0.0.1:${gateway.port}`;
  const get = async (path: string, fields: Record<string, string>, key = KEY_A): Promise<string> => {
    const response = await fetch(`${url}${path}?${new URLSearchParams({ key, ...fields })}`, { headers: ONCE });
    return response.text();
  };
  return {
    gateway,
    api,
    client,
    results,
    crashes,
    withdrawn: () => withdrawn,
    calls,
    url,
    in: (fields, key) => get('/in.php', fields, key),
    res: (fields, key) => get('/res.php', fields, key),
    async post(path, contentType, body) {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { ...ONCE, 'content-type': contentType },
        body,
      });
      return { status: response.status, body: await response.text() };
    },
    tasks: () => api.all<CaptchaTask>(CAPTCHA_TASK.plural),
    finish(task, status) {
      const { name } = task.metadata;
      client.change(CAPTCHA_TASK.plural, name, () => {
        api.seed(CAPTCHA_TASK.plural, { ...task, status: { ...task.status, ...status } });
      });
    },
    stop: () => gateway.stop(),
  };
}

/** Sends a request and leaves when it was sent, without waiting for the answer. */
export function leaveAfterSending(url: string): Promise<void> {
  return new Promise((resolve) => {
    const sent = request(url, { agent: false });
    sent.on('error', () => resolve());
    sent.end(() => setImmediate(() => sent.destroy()));
  });
}
