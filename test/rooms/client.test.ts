/**
 * The client package against a scripted API server on a real socket: lost answers, ended and refused watches, tasks that
 * vanish or come back under the same name. The real API server is used in test/cluster/example-controller.test.ts.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { createTaskClient, refOf, type NewTask, type TaskClient } from '../../src/client/index.ts';
import { aTask } from '../support/builders.ts';

const TASK: NewTask = {
  metadata: { name: 'login', namespace: 'default' },
  spec: {
    captcha: { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'site-key', pageURL: 'https://example.com/login' } },
  },
};
const COLLECTION = '/apis/captcha-operator.io/v1alpha1/namespaces/default/captchatasks';

type Turn = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let server: Server;
let client: TaskClient;
let scratch: string;
let kubeconfigPath: string;
/** What the server does with each request, in order; a request beyond the script fails the test. */
let script: Turn[];
let seen: string[];
let unexpected: string[];

beforeEach(async () => {
  script = [];
  seen = [];
  unexpected = [];
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      seen.push(
        `${request.method} ${request.url?.split('?')[0]}${request.url?.includes('watch=true') ? ' watch' : ''}`,
      );
      const turn = script.shift();
      if (turn === undefined) unexpected.push(seen.at(-1) ?? '');
      if (turn === undefined) response.destroy();
      else turn(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scratch = await mkdtemp(join(tmpdir(), 'client-'));
  kubeconfigPath = join(scratch, 'kubeconfig');
  const server_ = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: server_ } }],
    users: [{ name: 'test', user: { token: 'a-token' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  await writeFile(kubeconfigPath, JSON.stringify(kubeconfig));
  client = await createTaskClient({ kubeconfigPath, userAgent: 'client-test' });
});

afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(scratch, { recursive: true, force: true });
  expect(unexpected).toEqual([]);
});

function answer(status: number, body: object, headers: Record<string, string> = {}): Turn {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
}

function refusal(code: number, reason: string, details: object = {}): Turn {
  return answer(code, { kind: 'Status', status: 'Failure', code, reason, message: reason, details });
}

const dropped: Turn = (request) => request.socket.destroy();

function listOf(...items: CaptchaTask[]): Turn {
  return answer(200, { kind: 'CaptchaTaskList', metadata: { resourceVersion: '10' }, items });
}

/** Sends the events and then ends the watch, or leaves it open. */
function watchOf(events: [type: string, object: object][], end: 'ends' | 'stays open' = 'stays open'): Turn {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const [type, object] of events) response.write(`${JSON.stringify({ type, object })}\n`);
    if (end === 'ends') response.end();
  };
}

describe('where the cluster is', () => {
  test('is read from the environment: what KUBECONFIG names comes first', async () => {
    const environment = { KUBECONFIG: kubeconfigPath, KUBERNETES_SERVICE_HOST: '127.0.0.1' };
    const other = await createTaskClient({ userAgent: 'client-test', environment });
    script = [listOf(SOLVED)];
    expect(await other.waitForSolved(REF, { timeoutMs: 5_000 })).toMatchObject({ kind: 'solved' });
    await other.close();
  });

  test('is known in a pod with nothing but its ServiceAccount', async () => {
    for (const [file, text] of [
      ['token', 'a'],
      ['ca.crt', 'b'],
      ['namespace', 'shop'],
    ] as const) {
      await writeFile(join(scratch, file), text);
    }
    const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' };
    const pod = await createTaskClient({ userAgent: 'client-test', environment, serviceAccountDirectory: scratch });
    expect(pod.namespace).toBe('shop');
    await pod.close();
  });

  test('is `~/.kube/config` where there is neither, and the text says where it looked', async () => {
    const looking = createTaskClient({ userAgent: 'client-test', environment: { HOME: scratch } });
    await expect(looking).rejects.toThrow(`no kubeconfig could be read at ${join(scratch, '.kube', 'config')}`);
  });

  test('may be another context than the current one', async () => {
    const looking = createTaskClient({ userAgent: 'client-test', kubeconfigPath, context: 'absent' });
    await expect(looking).rejects.toThrow('there is no context named "absent"');
  });

  test('may need a plugin, which is found on the PATH of the environment', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'of-plugin' },
    };
    await writeFile(join(scratch, 'give-token'), `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, { mode: 0o755 });
    const config = JSON.parse(await readFile(kubeconfigPath, 'utf8')) as { users: { user: object }[] };
    const exec = { apiVersion: credential.apiVersion, command: 'give-token', interactiveMode: 'Never' };
    config.users[0] = { ...config.users[0], user: { exec } };
    await writeFile(kubeconfigPath, JSON.stringify(config));
    const environment = { KUBECONFIG: kubeconfigPath, PATH: `${scratch}:/bin:/usr/bin` };
    const other = await createTaskClient({ userAgent: 'client-test', environment });
    script = [
      (request, ...rest) => {
        expect(request.headers.authorization).toBe('Bearer of-plugin');
        listOf(SOLVED)(request, ...rest);
      },
    ];
    expect(await other.waitForSolved(REF, { timeoutMs: 5_000 })).toMatchObject({ kind: 'solved' });
    await other.close();
  });
});

const RUNNING = aTask().intended().submitted().build();
const SOLVED = aTask().intended().submitted().solved(undefined, { value: 'the-solution' }).build();
const FAILED = aTask().intended().failed().build();
const REF = refOf(RUNNING);

describe('create', () => {
  test('sends the task and returns what was stored', async () => {
    script = [
      (request, response, body) => {
        expect(JSON.parse(body)).toEqual({ apiVersion: 'captcha-operator.io/v1alpha1', kind: 'CaptchaTask', ...TASK });
        expect(request.headers['user-agent']).toContain('client-test');
        answer(201, RUNNING)(request, response, body);
      },
    ];
    expect(await client.create(TASK)).toEqual({ kind: 'created', task: RUNNING });
  });

  test('finds its own task when the answer to the first try was lost', async () => {
    script = [dropped, refusal(409, 'AlreadyExists'), answer(200, RUNNING)];
    expect(await client.create(TASK)).toEqual({ kind: 'existing', task: RUNNING });
    expect(seen).toEqual([`POST ${COLLECTION}`, `POST ${COLLECTION}`, `GET ${COLLECTION}/login`]);
  });

  test('says when the name belongs to another captcha', async () => {
    const other = aTask()
      .spec({ captcha: { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'other', pageURL: 'https://example.com' } } })
      .build();
    script = [refusal(409, 'AlreadyExists'), answer(200, other)];
    expect(await client.create(TASK)).toEqual({ kind: 'taken', task: other });
  });

  test('returns a refusal at once and does not repeat it', async () => {
    script = [refusal(403, 'Forbidden')];
    expect(await client.create(TASK)).toMatchObject({ kind: 'refused', status: 403, reason: 'Forbidden' });
  });

  test('gives up at the deadline with the last trouble', async () => {
    script = Array.from({ length: 50 }, () => refusal(500, 'InternalError'));
    expect(await client.create(TASK, { timeoutMs: 300 })).toMatchObject({ kind: 'refused' });
  });
});

describe('waitForSolved', () => {
  test('returns the solution of a task that is solved already, without a watch', async () => {
    script = [listOf(SOLVED)];
    const waited = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    expect(waited).toMatchObject({ kind: 'solved', solution: { value: 'the-solution' } });
  });

  test('returns as soon as the watch shows the solution, though the watch goes on', async () => {
    script = [listOf(RUNNING), watchOf([['MODIFIED', SOLVED]])];
    expect(await client.waitForSolved(REF, { timeoutMs: 5_000 })).toMatchObject({ kind: 'solved' });
  });

  test('tells for how long the solution is certainly good, counted from its answer', async () => {
    const until = new Date(Date.now() + 90_000).toISOString();
    const fresh = aTask().intended().submitted().solved(undefined, { freshUntilTime: until, expiresTime: until });
    script = [listOf(fresh.build())];
    const waited = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    if (waited.kind !== 'solved') throw new Error(waited.kind);
    expect(waited.solution).toMatchObject({ freshUntilTime: until, expiresTime: until });
    expect(waited.solution.freshForMs).toBeGreaterThan(80_000);
    expect(waited.solution.freshForMs).toBeLessThanOrEqual(90_000);
  });

  test('promises no time for a solution that may be dead, and says nothing where no lifetime is known', async () => {
    const over = aTask().intended().submitted().solved(undefined, { freshUntilTime: '2026-01-01T00:02:00Z' });
    script = [listOf(over.build())];
    const stale = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    expect(stale).toMatchObject({ solution: { freshUntilTime: '2026-01-01T00:02:00Z', freshForMs: 0 } });
    script = [listOf(SOLVED)];
    const unknown = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    expect(unknown).toMatchObject({ kind: 'solved', solution: { value: 'the-solution' } });
    expect(unknown).not.toHaveProperty('solution.freshForMs');
  });

  test('says why a task failed', async () => {
    script = [listOf(RUNNING), watchOf([['MODIFIED', FAILED]])];
    const waited = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    expect(waited).toMatchObject({
      kind: 'failed',
      reason: 'ProviderRejected',
      message: 'The provider rejected the task.',
    });
  });

  test('survives an ended, an expired and a dropped watch, a failed list and a bookmark', async () => {
    const bookmark = { kind: 'CaptchaTask', metadata: { resourceVersion: '11' } };
    const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
    script = [
      listOf(RUNNING),
      watchOf([['BOOKMARK', bookmark]], 'ends'),
      listOf(RUNNING),
      watchOf([['ERROR', expired]], 'ends'),
      refusal(500, 'InternalError'),
      listOf(RUNNING),
      dropped,
      listOf(RUNNING),
      watchOf([['MODIFIED', SOLVED]]),
    ];
    expect(await client.waitForSolved(REF, { timeoutMs: 20_000 })).toMatchObject({ kind: 'solved' });
    expect(script).toEqual([]);
  });

  test('reads the solution from the Secret that the task names', async () => {
    const { value: _value, ...solution } = SOLVED.status?.solution ?? {
      source: 'Callback',
      attempt: 1,
      receivedTime: '',
    };
    const secret = {
      ...SOLVED,
      status: {
        ...SOLVED.status,
        solution: { ...solution, freshUntilTime: '2026-01-01T00:02:00Z', secretRef: { name: 'login-solution' } },
      },
    };
    const data = {
      value: Buffer.from('from the secret').toString('base64'),
      'user-agent': Buffer.from('UA').toString('base64'),
    };
    script = [listOf(secret), answer(200, { kind: 'Secret', metadata: { name: 'login-solution' }, data })];
    const waited = await client.waitForSolved(REF, { timeoutMs: 5_000 });
    expect(waited).toMatchObject({
      kind: 'solved',
      solution: { value: 'from the secret', userAgent: 'UA', freshForMs: 0 },
    });
    expect(seen.at(-1)).toBe('GET /api/v1/namespaces/default/secrets/login-solution');
  });

  test('says that a deleted task is gone', async () => {
    script = [listOf(RUNNING), watchOf([['DELETED', RUNNING]])];
    expect(await client.waitForSolved(REF, { timeoutMs: 5_000 })).toEqual({ kind: 'gone' });
  });

  test('does not take the solution of a recreated task of the same name', async () => {
    const recreated = { ...SOLVED, metadata: { ...SOLVED.metadata, uid: 'another' } };
    script = [listOf(recreated)];
    expect(await client.waitForSolved(REF, { timeoutMs: 5_000 })).toEqual({ kind: 'gone' });
    script = [listOf(RUNNING), watchOf([['ADDED', recreated]])];
    expect(await client.waitForSolved(REF, { timeoutMs: 5_000 })).toEqual({ kind: 'gone' });
  });

  test('ends at the deadline with what was last seen', async () => {
    script = [listOf(RUNNING), watchOf([])];
    expect(await client.waitForSolved(REF, { timeoutMs: 300 })).toEqual({ kind: 'timedOut', task: RUNNING });
  });

  test('ends when the caller aborts, before and during the wait', async () => {
    expect(await client.waitForSolved(REF, { signal: AbortSignal.abort(), timeoutMs: 5_000 })).toEqual({
      kind: 'aborted',
    });
    const aborting = new AbortController();
    script = [
      listOf(RUNNING),
      (...turn) => {
        watchOf([])(...turn);
        aborting.abort();
      },
    ];
    expect(await client.waitForSolved(REF, { signal: aborting.signal, timeoutMs: 5_000 })).toEqual({ kind: 'aborted' });
  });

  test('returns a refused list instead of asking for ever', async () => {
    script = [refusal(403, 'Forbidden')];
    expect(await client.waitForSolved(REF, { timeoutMs: 5_000 })).toMatchObject({ kind: 'refused', status: 403 });
  });
});

describe('delete', () => {
  test('names the uid, so that it never deletes another task of the same name', async () => {
    script = [
      (request, response, body) => {
        expect(JSON.parse(body)).toMatchObject({ preconditions: { uid: REF.uid } });
        answer(200, { kind: 'Status', status: 'Success' })(request, response, body);
      },
      refusal(409, 'Conflict'),
      refusal(404, 'NotFound', { name: 'login', kind: 'captchatasks' }),
    ];
    expect(await client.delete(REF)).toEqual({ kind: 'deleted' });
    expect(await client.delete(REF)).toEqual({ kind: 'gone' });
    expect(await client.delete(REF)).toEqual({ kind: 'gone' });
  });
});
