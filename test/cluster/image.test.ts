/**
 * What the image holds and that it is enough: the steps of the Dockerfile are performed in clean directories, and both
 * processes are started from the result, as the image's user, with nothing else to import from. No container engine is
 * needed, and no API server: both processes must come up without one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ENTRIES } from '../../scripts/bundle.ts';
import { parseDockerfile } from '../../scripts/dockerfile.ts';
import { buildImage, type Image } from '../../scripts/image-contents.ts';
import { ROOT } from '../support/kubectl.ts';
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
  test('holds the processes, each one file with its map, package.json and the licence, and nothing else of ours', () => {
    const ours = [...image.files.keys()].filter((file) => !file.startsWith('/app/node_modules/'));
    const processes = ENTRIES.flatMap((entry) => [`/app/dist/bin/${entry}.js`, `/app/dist/bin/${entry}.js.map`]);
    expect(ours.toSorted()).toEqual(
      ['/app/LICENSE', '/app/package.json', '/app/dist/package.json', ...processes].toSorted(),
    );
  });

  test('says of each package whose code is in a process what it is, and under which licence', async () => {
    const texts = await processTexts();
    const bundled = new Set(
      texts.flatMap((text) =>
        [...text.matchAll(/^\/\/ (node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//gm)].map(
          ([, name = '']) => name,
        ),
      ),
    );
    const named = [...image.files.keys()].flatMap(
      (file) => /^\/app\/(node_modules\/.*)\/package\.json$/.exec(file)?.[1] ?? [],
    );
    expect(bundled.size).toBeGreaterThan(40);
    expect([...bundled].filter((folder) => !named.includes(folder))).toEqual([]);
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, Locked>;
    };
    expect(named.filter((folder) => lock.packages[folder]?.dev === true)).toEqual([]);
    const kinds = new Set(
      [...image.files.keys()].flatMap((file) => /^\/app\/node_modules\/.*\/([^/]+)$/.exec(file)?.[1] ?? []),
    );
    expect([...kinds].filter((name) => !/^(package\.json|licen[cs]e.*|notice.*)$/i.test(name))).toEqual([]);
  });

  test('needs no package to run but Node itself, and not the Kubernetes client, which it does without', async () => {
    const texts = await processTexts();
    const asked = texts.flatMap((text) =>
      [...text.matchAll(/\b(?:require|import)\(["'`]([^"'`]+)["'`]\)/g)].map(([, name = '']) => name),
    );
    const packages = new Set(asked.filter((name) => !isBuiltin(name)));
    // The second is in the text of an error, the third is tried by `debug`, which does without.
    const spared = ['@kubernetes/client-node/dist/config.js', 'keygrip', 'supports-color'];
    expect([...packages].toSorted()).toEqual(spared);
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

/** The programs themselves; a line of comment says from which file each part comes. */
function processTexts(): Promise<string[]> {
  return Promise.all(ENTRIES.map((entry) => readFile(join(image.root, 'app/dist/bin', `${entry}.js`), 'utf8')));
}

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
    const port = await portOf(run, 'callback');
    await waitUntil('readiness', async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).ok);
    // What Koa says of a reply by its table of content types, of which the bundle holds a few.
    const refused = await fetch(`http://127.0.0.1:${port}/nobody`);
    expect([refused.status, refused.headers.get('content-type')]).toEqual([404, 'text/plain; charset=utf-8']);
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
    // The stack names our sources and their lines, not the one file that they were made into.
    expect(run.output()).toMatch(/\(src\/kube\/kubeconfig\.ts:\d+:\d+\)/);
    expect(run.output()).not.toContain('dist/bin/operator.js:');
  });

  test.each(['operator', 'callback', 'gateway'])(
    '%s ends 2 on a wrong setting, with every fault and no stack',
    async (name) => {
      const run = start(`dist/bin/${name}.js`, { LOG_LEVEL: 'loud', METRICS_BIND_ADDRESS: 'everywhere' });
      expect(await run.exit).toBe(2);
      expect(run.output()).toContain('LOG_LEVEL');
      expect(run.output()).toContain('METRICS_BIND_ADDRESS');
      expect(run.output()).not.toMatch(/^\s+at /m);
    },
  );
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
