/**
 * What the image holds and that it is enough: the steps of the Dockerfile are performed in clean directories, and both
 * processes are started from the result, as the image's user, with nothing else to import from. No container engine is
 * needed, and no API server: both processes must come up without one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseDockerfile } from '../../scripts/dockerfile.ts';
import { buildImage, type Image } from '../../scripts/image-contents.ts';
import { ROOT } from '../support/kubectl.ts';
import { findImports } from '../support/source-text.ts';
import { waitUntil } from '../support/wait-until.ts';

let image: Image;
let scratch: string;

beforeAll(async () => {
  image = await buildImage();
  scratch = await mkdtemp(join(tmpdir(), 'image-test-'));
  await chmod(scratch, 0o755);
});

afterAll(async () => {
  await image?.remove();
  await rm(scratch, { recursive: true, force: true });
});

interface Locked {
  dev?: boolean;
  optional?: boolean;
}

describe('the image', () => {
  test('holds the compiled processes with source maps, package.json and the licence', () => {
    for (const file of [
      'dist/bin/operator.js',
      'dist/bin/callback.js',
      'dist/bin/operator.js.map',
      'package.json',
      'LICENSE',
    ]) {
      expect([...image.files.keys()]).toContain(`/app/${file}`);
    }
  });

  test('holds nothing of ours but that: no sources, tests, demo, simulator or local control plane', () => {
    const ours = [...image.files.keys()].filter((file) => !file.startsWith('/app/node_modules/'));
    const allowed =
      /^\/app\/(LICENSE|package\.json|dist\/(api|bin|callback|controllers|core|gateway|kube|ops|provider|waiting)\/[\w./-]+\.js(\.map)?)$/;
    expect(ours.filter((file) => !allowed.test(file))).toEqual([]);
    expect(ours.filter((file) => /demo|simulator|bin\/live/.test(file))).toEqual([]);
  });

  test('holds production dependencies only', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, Locked>;
    };
    const folders = [...image.files.keys()].flatMap(
      (file) => /^\/app\/(node_modules\/.*)\/package\.json$/.exec(file)?.[1] ?? [],
    );
    const installed = folders.filter((folder) => lock.packages[folder] !== undefined);
    expect(installed.length).toBeGreaterThan(50);
    expect(installed.filter((folder) => lock.packages[folder]?.dev === true)).toEqual([]);
  });

  test('holds every package that it loads, and not the Kubernetes client, which it does without', async () => {
    const files = [...image.files.keys()].filter((file) => /^\/app\/dist\/.*\.js$/.test(file));
    const texts = await Promise.all(files.map((file) => readFile(join(image.root, file), 'utf8')));
    const loaded = texts.flatMap((text) => findImports(text).map(({ specifier }) => specifier));
    const packages = new Set(
      loaded.flatMap((specifier) => /^(?!node:|\.)(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? []),
    );
    const missing = [...packages].filter((name) => !image.files.has(`/app/node_modules/${name}/package.json`));
    expect(packages.size).toBeGreaterThan(5);
    expect(missing).toEqual(['@kubernetes/client-node']);
  });

  test('runs as the user that the manifests name, with the files that they name', () => {
    const deployment = parse(readFileSync(join(ROOT, 'deploy/base/deployment.yaml'), 'utf8')) as {
      spec: { template: { spec: { securityContext: { runAsUser: number }; containers: { args: string[] }[] } } };
    };
    const { securityContext, containers } = deployment.spec.template.spec;
    expect(image.user).toMatchObject({ uid: securityContext.runAsUser });
    for (const { args } of containers) expect([...image.files.keys()]).toContain(`/app/${args[0]}`);
    expect(image.command).toEqual(containers[0]?.args);
  });
});

interface Run {
  child: ChildProcess;
  output(): string;
  exit: Promise<number | null>;
}

/** Starts a process from the image with the given environment and nothing of ours. */
function start(file: string, env: Record<string, string>): Run {
  const [program, ...options] = image.entrypoint;
  expect(program).toBe('node');
  // Only root can become the image's user; elsewhere the own one stands in for it.
  const { uid, gid } = image.user;
  const user = process.getuid?.() === 0 ? { uid, gid } : {};
  const child = spawn(process.execPath, [...options, file], {
    cwd: join(image.root, image.workdir),
    env: { ...image.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, output: () => output, exit: new Promise((resolve) => child.once('close', resolve)) };
}

/** The port that the process reported for one of its listeners. */
async function portOf(run: Run, listener: string): Promise<number> {
  return waitUntil(`the ${listener} listener; it said: ${run.output()}`, () => {
    const lines = run
      .output()
      .split('\n')
      .filter((line) => line.includes('"listening"'));
    const line = lines
      .map((text) => JSON.parse(text) as { listener: string; port: number })
      .find((one) => one.listener === listener);
    return line?.port;
  });
}

/** A kubeconfig for an API server that is not there, keys, and a spool: what the pod mounts. */
async function mounts(identity: object = { token: 'a-token' }): Promise<Record<string, string>> {
  const kubeconfig = join(scratch, 'kubeconfig');
  const cluster = { name: 'nowhere', cluster: { server: 'https://127.0.0.1:9' } };
  const user = { name: 'nobody', user: identity };
  const context = { name: 'nowhere', context: { cluster: 'nowhere', user: 'nobody' } };
  const text = { 'current-context': 'nowhere', clusters: [cluster], users: [user], contexts: [context] };
  await writeFile(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...text }), { mode: 0o644 });
  const keys = join(scratch, 'keys');
  await writeFile(keys, `k1:${randomBytes(32).toString('base64')}\n`, { mode: 0o644 });
  const volume = join(scratch, 'volume');
  await mkdir(volume, { recursive: true });
  await chmod(volume, 0o777);
  return {
    KUBECONFIG: kubeconfig,
    CALLBACK_KEYS_FILE: keys,
    SPOOL_DIR: join(volume, 'spool'),
    CALLBACK_BIND_ADDRESS: '127.0.0.1:0',
    METRICS_BIND_ADDRESS: '127.0.0.1:0',
    HEALTH_BIND_ADDRESS: '127.0.0.1:0',
    POD_NAMESPACE: 'captcha-system',
    POD_NAME: 'captcha-operator-0',
  };
}

describe('started from the image alone', () => {
  test('the sidecar becomes ready without an API server, and ends 0 on SIGTERM', async () => {
    const run = start('dist/bin/callback.js', await mounts());
    const health = await portOf(run, 'health');
    await portOf(run, 'callback');
    await waitUntil('readiness', async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).ok);
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
  });

  test('the operator lives without an API server, and ends 0 on SIGTERM', async () => {
    const run = start('dist/bin/operator.js', await mounts());
    const health = await portOf(run, 'health');
    await waitUntil('liveness', async () => (await fetch(`http://127.0.0.1:${health}/healthz`)).ok);
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
  });

  test('the operator says what to do about a kubeconfig that the image cannot read', async () => {
    const run = start('dist/bin/operator.js', await mounts({ 'auth-provider': { name: 'oidc', config: {} } }));
    expect(await run.exit).not.toBe(0);
    expect(run.output()).toContain('use a token, a client certificate or an exec plugin');
  });

  test.each(['operator', 'callback'])('%s ends 2 on a wrong setting, with every fault and no stack', async (name) => {
    const run = start(`dist/bin/${name}.js`, { LOG_LEVEL: 'loud', METRICS_BIND_ADDRESS: 'everywhere' });
    expect(await run.exit).toBe(2);
    expect(run.output()).toContain('LOG_LEVEL');
    expect(run.output()).toContain('METRICS_BIND_ADDRESS');
    expect(run.output()).not.toMatch(/^\s+at /m);
  });
});

describe('the reader of the Dockerfile', () => {
  test.each([
    'FROM node:1-slim\nADD a b',
    'FROM node:1-slim\nCOPY --chown=1 a b',
    'FROM node:1-slim\nUSER node',
    'FROM node:1-slim\nUSER 0:0',
    'COPY a b',
  ])('refuses what it does not understand: %j', (text) => {
    expect(() => parseDockerfile(text)).toThrow(/not understood|above 0|before FROM/);
  });
});
