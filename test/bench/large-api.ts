/**
 * An API server with as many tasks of any size as a measurement asks for, made while they are sent: a real etcd would
 * take minutes and gigabytes for them. It streams lists, or refuses to as old servers do, and pages them by number and
 * token; letters it has none, and the Lease belongs to somebody else. For `memory.ts`.
 */
import type { ServerResponse } from 'node:http';
import { TEST_CERTIFICATE, answer, startScriptedApi } from '../support/scripted-api.ts';
import type { ScriptedApi, ScriptedRequest } from '../support/scripted-api.ts';

export interface LargeTasks {
  count: number;
  /** Below `spec.captcha`, and in an annotation as well where `kubectl apply` made the task. */
  captcha: object;
  applied?: boolean;
}

export interface LargeApi {
  /** Text of a kubeconfig for it. */
  kubeconfig: string;
  close(): Promise<void>;
}

const VERSION = '1000000';

export async function startLargeApi(tasks: LargeTasks, streams: boolean): Promise<LargeApi> {
  const { captcha, applied = false, count } = tasks;
  const spec = { captcha, delivery: 'Callback', callbackTimeoutSeconds: 120, activeDeadlineSeconds: 600 };
  const annotations = applied ? { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(spec) } : {};
  const before = `{"apiVersion":"captcha-operator.io/v1alpha1","kind":"CaptchaTask","metadata":`;
  const after = `,"spec":${JSON.stringify({ ...spec, backoffLimit: 0, suspend: false })}}`;
  const taskOf = (namespace: string, index: number): string => {
    const creationTimestamp = '2026-01-01T00:00:00Z';
    const name = `task-${index}`;
    const names = { namespace, name, uid: `${namespace}-${index}`, resourceVersion: String(index + 1) };
    return before + JSON.stringify({ ...names, generation: 1, creationTimestamp, annotations }) + after;
  };
  const api = await startScriptedApi((request, response) => {
    const [, namespace = 'default', plural] = /(?:\/namespaces\/([^/]+))?\/(\w+)$/.exec(request.path) ?? [];
    if (request.path.includes('/leases')) return answerLease(request, response);
    const held = plural === 'captchatasks' ? count : 0;
    const make = (index: number) => taskOf(namespace, index);
    void serve(request, response, { held, make, streams });
    return undefined;
  });
  return { kubeconfig: kubeconfigOf(api), close: () => api.close() };
}

function answerLease({ method }: ScriptedRequest, response: ServerResponse): void {
  const metadata = { name: 'captcha-operator', namespace: 'captcha-system', resourceVersion: '1' };
  const spec = { holderIdentity: 'somebody', leaseDurationSeconds: 86_400, leaseTransitions: 0 };
  if (method === 'GET') answer(response, 200, { metadata, spec });
  else answer(response, 409, { code: 409, reason: 'Conflict' });
}

interface Served {
  held: number;
  make(index: number): string;
  streams: boolean;
}

async function serve({ query }: ScriptedRequest, response: ServerResponse, served: Served): Promise<void> {
  response.on('error', () => {});
  const initial = query.get('sendInitialEvents') === 'true';
  if (initial && !served.streams) return answer(response, 422, { code: 422, reason: 'Invalid' });
  response.writeHead(200, { 'content-type': 'application/json' });
  if (query.get('watch') !== 'true') return sendPage(query, response, served);
  response.flushHeaders();
  if (!initial) return undefined;
  await sendAll(response, 0, served.held, (index) => `{"type":"ADDED","object":${served.make(index)}}\n`);
  const metadata = { resourceVersion: VERSION, annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
  return undefined;
}

async function sendPage(query: URLSearchParams, response: ServerResponse, { held, make }: Served): Promise<void> {
  const from = Number(query.get('continue') ?? 0);
  const to = Math.min(held, from + Number(query.get('limit') ?? held));
  const metadata = { resourceVersion: VERSION, ...(to < held && { continue: String(to) }) };
  response.write(`{"kind":"CaptchaTaskList","metadata":${JSON.stringify(metadata)},"items":[`);
  await sendAll(response, from, to, (index) => (index === from ? '' : ',') + make(index));
  response.end(']}');
}

/** As fast as the reader reads. */
async function sendAll(
  response: ServerResponse,
  from: number,
  to: number,
  make: (index: number) => string,
): Promise<void> {
  const closed = new Promise<void>((resolve) => response.once('close', resolve));
  for (let index = from; index < to && !response.destroyed; index++) {
    if (response.write(make(index))) continue;
    await Promise.race([closed, new Promise((resolve) => response.once('drain', resolve))]);
  }
}

function kubeconfigOf(api: ScriptedApi): string {
  const ca = Buffer.from(TEST_CERTIFICATE).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'large', cluster: { server: api.server, 'certificate-authority-data': ca } }],
    users: [{ name: 'operator', user: { token: 'test' } }],
    contexts: [{ name: 'large', context: { cluster: 'large', user: 'operator' } }],
    'current-context': 'large',
  });
}
