/**
 * The example controller as a user runs it: its own process, the package `captcha-operator/client`, a real operator that
 * solves its tasks, and a site that takes each token once.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectOf } from '../../dev/control-plane/index.ts';
import { access, admin, corePathOf, pathOf } from '../support/cluster.ts';
import { ROOT } from '../support/kubectl.ts';
import { pageOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;
let site: Server;
let controller: ChildProcess;
let output = '';
/** Tokens that the site was given, in order. */
const tokens: string[] = [];

beforeAll(async () => {
  world = await startWorld();
  site = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const token = new URLSearchParams(body).get('cf-turnstile-response') ?? '';
      const isFresh = token !== '' && !tokens.includes(token);
      tokens.push(token);
      response.writeHead(isFresh ? 200 : 403).end();
    });
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  controller = startController();
});

afterAll(async () => {
  await stopController('SIGTERM');
  await new Promise((resolve) => site.close(resolve));
  await world?.stop();
});

function startController(): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=source', 'examples/controller/main.ts', world.namespace], {
    cwd: ROOT,
    env: { KUBECONFIG: access.adminKubeconfig, PATH: process.env['PATH'], HOME: process.env['HOME'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return child;
}

async function stopController(signal: NodeJS.Signals): Promise<void> {
  if (controller === undefined || controller.exitCode !== null || controller.signalCode !== null) return;
  const ended = new Promise((resolve) => controller.once('exit', resolve));
  controller.kill(signal);
  await ended;
}

interface Wish {
  metadata: { annotations?: Record<string, string> };
}

async function wishFor(name: string): Promise<void> {
  const port = (site.address() as AddressInfo).port;
  const data = {
    siteKey: '0x4AAAAAAADnPIDROrmt1Wwj',
    pageURL: pageOf(world.namespace, name),
    formURL: `http://127.0.0.1:${port}/`,
  };
  const manifest = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { 'example.com/login': 'wanted' } },
    data,
  };
  objectOf(await admin.create(corePathOf('configmaps', world.namespace), manifest));
}

async function outcomeOf(name: string): Promise<string> {
  return waitUntil(
    `the outcome of ${name}; the controller said: ${output}`,
    async () => {
      const wish = objectOf<Wish>(await admin.get(corePathOf('configmaps', world.namespace, name)));
      return wish.metadata.annotations?.['example.com/login-outcome'];
    },
    { boundMs: 60_000 },
  );
}

describe('the example controller', () => {
  test('logs in with a solved task, uses the token once and deletes the task', async () => {
    await wishFor('alice');
    expect(await outcomeOf('alice')).toBe('logged in');
    expect(tokens).toHaveLength(1);
    expect(await world.paid('alice')).toBe(1);
    expect((await admin.get(pathOf('captchatasks', world.namespace, 'login-alice'))).status).toBe(404);
  });

  test('pays once when it is killed while it waits, and started again', async () => {
    const script = { tasks: [{ solveAfterMs: 3_000 }] };
    await world.simulator.control.script(script, { field: 'pageurl', equals: pageOf(world.namespace, 'bob') });
    await wishFor('bob');
    await waitUntil('the task to be submitted', async () => (await world.paid('bob')) === 1);
    await stopController('SIGKILL');
    controller = startController();
    expect(await outcomeOf('bob')).toBe('logged in');
    expect(await world.paid('bob')).toBe(1);
  });

  test('says why a task failed', async () => {
    const script = { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] };
    await world.simulator.control.script(script, { field: 'pageurl', equals: pageOf(world.namespace, 'carol') });
    await wishFor('carol');
    expect(await outcomeOf('carol')).toBe('not solved: ProviderRejected');
  });

  test('ends on SIGTERM by itself', async () => {
    await stopController('SIGTERM');
    expect(controller.exitCode).toBe(0);
  });
});
