/** The local control plane itself: separate, restartable, with a real identity for the operator, and leaving nothing. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  ADMINISTRATOR,
  OPERATOR,
  createAdmin,
  ensureAssets,
  installOperator,
  objectOf,
  startControlPlane,
  type Admin,
  type ControlPlane,
  type Identity,
} from '../../dev/control-plane/index.ts';
import { isAlive } from '../support/child.ts';
import { taskManifest } from '../support/manifests.ts';
import { pathOf } from '../support/paths.ts';
import { waitUntil } from '../support/wait-until.ts';

const PROCESS = new URL('../support/control-plane-process.ts', import.meta.url).pathname;
const log = (): void => {};

function clientOf(controlPlane: ControlPlane, identity: Identity): Admin {
  return createAdmin({ ...controlPlane, token: controlPlane.tokenOf(identity) });
}

describe('a control plane', () => {
  let first: ControlPlane;
  let second: ControlPlane;
  beforeAll(async () => {
    const assets = await ensureAssets({ log, env: process.env });
    [first, second] = await Promise.all([startControlPlane({ assets, log }), startControlPlane({ assets, log })]);
  });
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  test('has its own data beside another that started at the same moment', async () => {
    const [one, other] = [clientOf(first, ADMINISTRATOR), clientOf(second, ADMINISTRATOR)];
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'only-here' } };
    objectOf(await one.create('/api/v1/namespaces', namespace));
    expect((await other.get('/api/v1/namespaces/only-here')).status).toBe(404);
    await Promise.all([one.close(), other.close()]);
  });

  test('keeps address, credentials and objects when its API server is killed and started again', async () => {
    const admin = clientOf(first, ADMINISTRATOR);
    const before = first.pids();
    await installOperator(admin);
    const { status } = await admin.create(pathOf('captchatasks', 'default'), taskManifest('GeeTestV4'));
    expect(status).toBe(201);
    await first.stopApiServer();
    await expect(admin.get('/readyz')).rejects.toThrow();
    await first.startApiServer();
    expect((await admin.get(pathOf('captchatasks', 'default', 'geetestv4'))).status).toBe(200);
    expect(first.pids().etcd).toBe(before.etcd);
    expect(first.pids().kubeApiserver).not.toBe(before.kubeApiserver);
    await admin.close();
  });

  test('lets the operator do what the shipped roles say, and not more', async () => {
    const operator = clientOf(first, OPERATOR);
    expect((await operator.get('/apis/captcha-operator.io/v1alpha1/captchatasks')).status).toBe(200);
    expect((await operator.create(pathOf('captchatasks', 'default'), taskManifest('BLS'))).status).toBe(403);
    expect((await operator.get('/api/v1/secrets')).status).toBe(403);
    expect((await operator.get('/api/v1/namespaces/default/secrets/any')).status).toBe(403);
    await operator.close();
  });

  test('has no kubeconfig for an identity that it was not started with', () => {
    expect(() => first.tokenOf({ user: 'stranger', groups: [] })).toThrow(/stranger is not among the identities/);
  });

  test('leaves no process and no file when it is stopped, also when it is stopped twice', async () => {
    const { etcd, kubeApiserver } = second.pids();
    await Promise.all([second.stop(), second.stop()]);
    expect([etcd, kubeApiserver].filter(isAlive)).toEqual([]);
    expect(existsSync(dirname(second.adminKubeconfig))).toBe(false);
  });
});

describe('a process that holds a control plane', () => {
  test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)('leaves no process and no file after %s', async (signal) => {
    const holder = spawn(process.execPath, [PROCESS], { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = new Promise<void>((resolve) => void holder.once('exit', () => resolve()));
    let output = '';
    holder.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await waitUntil('the control plane to be up', () => output.endsWith('\n'), { boundMs: 120_000 });
    const { etcd, kubeApiserver, kubeconfig } = JSON.parse(output) as {
      etcd: number;
      kubeApiserver: number;
      kubeconfig: string;
    };
    holder.kill(signal);
    await ended;
    await waitUntil('both servers to be gone', () => ![etcd, kubeApiserver].some(isAlive));
    await waitUntil('their directory to be gone', () => !existsSync(dirname(kubeconfig)));
  });
});
