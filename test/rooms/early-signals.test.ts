/** A signal that comes while a process starts ends it with 0, and it never takes the Lease after that. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answer, startScriptedApi, TEST_CERTIFICATE, type ScriptedApi } from '../support/scripted-api.ts';
import { waitUntil } from '../support/wait-until.ts';

const PRELOAD = join(import.meta.dirname, '../support/pause-at-import.ts');
const entry = (name: string) => join(import.meta.dirname, '../../src/bin', `${name}.ts`);

let directory: string;
let api: ScriptedApi;
let child: ChildProcess | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'early-signals-'));
  api = await startScriptedApi((_request, response) => answer(response, 404, { kind: 'Status', reason: 'NotFound' }));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await api.close();
  await rm(directory, { recursive: true });
});

async function environment(pauseAt: string): Promise<NodeJS.ProcessEnv> {
  const at = async (name: string, content: string) => {
    await writeFile(join(directory, name), content);
    return join(directory, name);
  };
  const kubeconfig = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
    clusters: [
      {
        name: 'c',
        cluster: { server: api.server, 'certificate-authority': await at('ca.crt', TEST_CERTIFICATE) },
      },
    ],
    users: [{ name: 'c', user: { token: 't' } }],
  };
  return {
    PATH: process.env['PATH'],
    PAUSE_AT: pauseAt,
    KUBECONFIG: await at('kubeconfig', JSON.stringify(kubeconfig)),
    POD_NAMESPACE: 'captcha-system',
    CALLBACK_KEYS_FILE: await at('keys', `k1:${Buffer.alloc(32, 1).toString('base64')}\n`),
    SPOOL_DIR: directory,
    ...Object.fromEntries(['METRICS', 'HEALTH', 'CALLBACK'].map((name) => [`${name}_BIND_ADDRESS`, '127.0.0.1:0'])),
  };
}

/** Starts a process, and resolves when it loads the file at which it is told to pause. */
async function startPaused(name: string, pauseAt: string, wrapper: string[] = []) {
  const [command, ...before] = [...wrapper, process.execPath];
  const args = [...before, '--import', PRELOAD, entry(name)];
  const started = spawn(command, args, { env: await environment(pauseAt), stdio: ['pipe', 'pipe', 'pipe'] });
  child = started;
  let output = '';
  started.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  started.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(started, 'exit') as Promise<[number | null, string | null]>;
  await waitUntil('the start to come to its pause', () => output.includes('paused') || undefined, { boundMs: 20_000 });
  return {
    pid: started.pid ?? 0,
    output: () => output,
    ended,
    goOn: () => started.stdin.write('\n'),
  };
}

const heldLeases = () => api.requests.filter(({ method, path }) => method !== 'GET' && path.includes('/leases'));
const MOMENTS: [string, string][] = [
  ['operator', '/src/ops/config.ts'],
  ['operator', '/src/kube/lease.ts'],
  ['callback', '/src/ops/config.ts'],
  ['callback', '/src/callback/server.ts'],
];

describe('a signal while a process loads its files', () => {
  test.each(MOMENTS)('ends the %s with 0 (at %s)', async (name, pauseAt) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const started = await startPaused(name, pauseAt);
      process.kill(started.pid, signal);
      started.goOn();
      expect(await started.ended).toEqual([0, null]);
      expect(heldLeases()).toEqual([]);
    }
  });

  const unshare = ['unshare', '--pid', '--fork', '--kill-child'];
  const canUnshare = spawnSync(unshare[0] ?? '', [...unshare.slice(1), 'true']).status === 0;
  test.skipIf(!canUnshare)(
    'is not lost by process 1 of a container, to which the kernel gives no default',
    async () => {
      const started = await startPaused('operator', '/src/ops/config.ts', unshare);
      const children = await readFile(`/proc/${started.pid}/task/${started.pid}/children`, 'utf8');
      process.kill(Number(children.trim()), 'SIGTERM');
      started.goOn();
      expect(await started.ended).toEqual([0, null]);
      expect(heldLeases()).toEqual([]);
    },
  );
});

test('a signal while the Lease is asked for ends the operator with 0, and it does not take it', async () => {
  const asked = Promise.withResolvers<void>();
  api.handle((request, response) => {
    if (request.path.includes('/leases')) asked.resolve();
    else answer(response, 404, { kind: 'Status', reason: 'NotFound' });
  });
  const started = await startPaused('operator', '/src/ops/config.ts');
  started.goOn();
  await asked.promise;
  process.kill(started.pid, 'SIGTERM');
  expect(await started.ended).toEqual([0, null]);
  expect(heldLeases()).toEqual([]);
});
