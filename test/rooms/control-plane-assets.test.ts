/**
 * How the binaries of the local control plane are found: a given folder, the cache, a download from a server with the
 * layout of the envtest releases, a build with a stand-in for Go. No network beyond loopback, nothing really built.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ensureAssets, type ControlPlaneAssets } from '../../dev/control-plane/index.ts';
import { cacheKey, platform } from '../../dev/control-plane/versions.ts';
import { isAlive } from '../support/child.ts';
import { waitUntil } from '../support/wait-until.ts';

const PROCESS = new URL('../support/ensure-assets-process.ts', import.meta.url).pathname;
const BINARIES = ['etcd', 'kube-apiserver', 'kubectl'];

let scratch = '';
let lines: string[] = [];
let release: (() => void | Promise<void>)[] = [];
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'assets-test-'));
  lines = [];
  release = [() => rm(scratch, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const each of release.toReversed()) await each();
});

/** An environment without Go, without envtest and with an empty cache. */
function bareEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: '/usr/bin:/bin',
    HOME: scratch,
    CAPTCHA_OPERATOR_CACHE: join(scratch, 'cache'),
    // Nothing listens on the port of `discard`.
    CAPTCHA_OPERATOR_ENVTEST_INDEX: 'http://127.0.0.1:9/index.yaml',
    ...more,
  };
}

function ensure(env: NodeJS.ProcessEnv): Promise<ControlPlaneAssets> {
  return ensureAssets({ env, log: (line) => lines.push(line) });
}

/** Writes executables that print `text`, and returns their folder. */
async function fakeBinaries(name: string, text: string, which = BINARIES): Promise<string> {
  const folder = join(scratch, name);
  await mkdir(folder, { recursive: true });
  for (const binary of which) {
    await writeFile(join(folder, binary), `#!/bin/sh\necho ${text} ${binary}\n`, { mode: 0o755 });
  }
  return folder;
}

/** A folder with a `go` that notes each build and then runs `body` with the output file in `$out`. */
async function fakeGo(body: string): Promise<{ path: string; builds(): Promise<string[]> }> {
  const folder = join(scratch, 'go');
  const notes = join(scratch, 'builds');
  await mkdir(folder, { recursive: true });
  const script = `#!/bin/sh
if [ "$1" = env ]; then echo go1.26.8; exit 0; fi
for word; do if [ "$last" = -o ]; then out=$word; fi; last=$word; done
echo "$(basename "$out")" >> ${notes}
${body}
`;
  await writeFile(join(folder, 'go'), script, { mode: 0o755 });
  const builds = async (): Promise<string[]> => (await readFile(notes, 'utf8').catch(() => '')).trim().split('\n');
  return { path: `${folder}:/usr/bin:/bin`, builds };
}

interface Release {
  index: string;
  requests: string[];
}

/** Serves an index and archives in the layout of the envtest releases. */
async function envtestServer(versions: { version: string; wrongSum?: boolean; status?: number }[]): Promise<Release> {
  const requests: string[] = [];
  const archives = new Map<string, { body: Buffer; status: number }>();
  let index = 'releases:\n';
  for (const { version, wrongSum, status = 200 } of versions) {
    const name = `envtest-${version}-${platform()}.tar.gz`;
    await fakeBinaries(`pack-${version}/controller-tools/envtest`, version);
    execFileSync('tar', ['-czf', join(scratch, name), '-C', join(scratch, `pack-${version}`), 'controller-tools']);
    const body = await readFile(join(scratch, name));
    const hash = createHash('sha512')
      .update(wrongSum ? 'other' : body)
      .digest('hex');
    index += `  ${version}:\n    ${name}:\n      hash: ${hash}\n      selfLink: /redirect/${name}\n`;
    archives.set(name, { body, status });
  }
  const server: Server = createServer((request, response) => {
    const url = request.url ?? '';
    requests.push(url);
    if (url === '/index.yaml') return response.end(index);
    // GitHub answers its release links with a redirect.
    if (url.startsWith('/redirect/'))
      return response.writeHead(302, { location: url.replace('/redirect', '/files') }).end();
    const archive = archives.get(url.replace('/files/', ''));
    return response.writeHead(archive?.status ?? 404).end(archive?.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  release.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { index: `http://127.0.0.1:${(server.address() as AddressInfo).port}/index.yaml`, requests };
}

function run(binary: string | undefined): string {
  return execFileSync(binary ?? '', { encoding: 'utf8' }).trim();
}

async function cacheContent(): Promise<string[]> {
  const names = await readdir(join(scratch, 'cache')).catch(() => [] as string[]);
  return names.filter((name) => name !== '.lock');
}

describe('KUBEBUILDER_ASSETS', () => {
  test('is used as it is, before anything else', async () => {
    const folder = await fakeBinaries('given', 'given');
    const assets = await ensure(bareEnv({ KUBEBUILDER_ASSETS: folder }));
    expect(assets).toMatchObject({ etcd: join(folder, 'etcd'), kubeApiserver: join(folder, 'kube-apiserver') });
    expect(await cacheContent()).toEqual([]);
  });

  test('does without kubectl', async () => {
    const folder = await fakeBinaries('given', 'given', ['etcd', 'kube-apiserver']);
    expect(await ensure(bareEnv({ KUBEBUILDER_ASSETS: folder }))).not.toHaveProperty('kubectl');
  });

  test('is refused by the name of what it lacks, rather than passed over', async () => {
    const folder = await fakeBinaries('given', 'given', ['etcd']);
    const refused = ensure(bareEnv({ KUBEBUILDER_ASSETS: folder }));
    await expect(refused).rejects.toThrow(/KUBEBUILDER_ASSETS .* no executable kube-apiserver/);
  });
});

describe('the envtest download', () => {
  test('is verified, unpacked and cached, and not asked for again', async () => {
    const server = await envtestServer([{ version: 'v1.36.3' }]);
    const env = bareEnv({ CAPTCHA_OPERATOR_ENVTEST_INDEX: server.index });
    const assets = await ensure(env);
    expect(BINARIES.map((_, at) => run([assets.etcd, assets.kubeApiserver, assets.kubectl][at]))).toEqual(
      BINARIES.map((binary) => `v1.36.3 ${binary}`),
    );
    expect(await cacheContent()).toEqual([cacheKey()]);
    const asked = server.requests.length;
    expect(await ensure(env)).toEqual(assets);
    expect(server.requests).toHaveLength(asked);
  });

  test('takes the newest patch of the same minor version where the pinned one is not published', async () => {
    const server = await envtestServer(['v1.36.1', 'v1.36.10', 'v1.36.9', 'v1.37.0'].map((version) => ({ version })));
    const assets = await ensure(bareEnv({ CAPTCHA_OPERATOR_ENVTEST_INDEX: server.index }));
    expect(assets.origin).toBe('envtest v1.36.10');
  });

  test('is not unpacked when its sum differs from the listed one; the build is tried instead', async () => {
    const server = await envtestServer([{ version: 'v1.36.3', wrongSum: true }]);
    const go = await fakeGo('echo built > "$out"');
    const assets = await ensure(bareEnv({ CAPTCHA_OPERATOR_ENVTEST_INDEX: server.index, PATH: go.path }));
    expect(await readFile(assets.etcd, 'utf8')).toBe('built\n');
    expect(lines.join('\n')).toMatch(/download did not work: .*SHA-512/);
    expect(await cacheContent()).toEqual([cacheKey()]);
  });

  test.each([
    {
      name: 'no release of our minor version',
      versions: [{ version: 'v1.35.0' }],
      says: /no release of Kubernetes 1\.36/,
    },
    { name: 'an archive that is gone', versions: [{ version: 'v1.36.3', status: 404 }], says: /answered 404/ },
  ])('gives way to the build: $name', async ({ versions, says }) => {
    const server = await envtestServer(versions);
    const go = await fakeGo('echo built > "$out"');
    await ensure(bareEnv({ CAPTCHA_OPERATOR_ENVTEST_INDEX: server.index, PATH: go.path }));
    expect(lines.join('\n')).toMatch(says);
  });
});

describe('the build', () => {
  test('makes all three binaries, executable, and caches them', async () => {
    const go = await fakeGo('printf "#!/bin/sh\\necho built" > "$out"');
    const assets = await ensure(bareEnv({ PATH: go.path }));
    expect(await go.builds()).toEqual(BINARIES);
    expect([assets.etcd, assets.kubeApiserver, assets.kubectl].map(run)).toEqual(['built', 'built', 'built']);
    await ensure(bareEnv({ PATH: go.path }));
    expect(await go.builds()).toHaveLength(3);
  });

  test('is repeated when the cached binaries were damaged', async () => {
    const go = await fakeGo('echo built > "$out"');
    const assets = await ensure(bareEnv({ PATH: go.path }));
    await truncate(assets.kubeApiserver, 1);
    expect(await ensure(bareEnv({ PATH: go.path }))).toEqual(assets);
    expect(await readFile(assets.kubeApiserver, 'utf8')).toBe('built\n');
    expect(await cacheContent()).toEqual([cacheKey()]);
  });

  test('that fails leaves nothing in the cache and reports the last words of Go', async () => {
    const go = await fakeGo('echo half > "$out"; echo "module lookup disabled" >&2; exit 1');
    await expect(ensure(bareEnv({ PATH: go.path }))).rejects.toThrow(
      /go build ended with code 1: .*module lookup disabled/,
    );
    expect(await cacheContent()).toEqual([]);
  });
});

/** Starts another process that looks for the binaries; `output()` is what it printed. */
function startProcess(env: NodeJS.ProcessEnv): {
  child: ChildProcess;
  ended: Promise<number | null>;
  output(): string;
} {
  const child = spawn(process.execPath, [PROCESS], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => void child.once('close', (code) => resolve(code)));
  release.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, output: () => output };
}

describe('several processes', () => {
  test('that start at once build once, and both get the result', async () => {
    const gate = join(scratch, 'gate');
    const go = await fakeGo(`while [ ! -e ${gate} ]; do sleep 0.05; done; echo built > "$out"`);
    const both = [startProcess(bareEnv({ PATH: go.path })), startProcess(bareEnv({ PATH: go.path }))];
    await waitUntil('one of them to wait for the other', () =>
      both.some(({ output }) => output().includes('waiting for it')),
    );
    await writeFile(gate, '');
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
    expect(await go.builds()).toEqual(BINARIES);
  });

  test('do not trip over one that was killed while it built: its build dies, and the next one starts anew', async () => {
    const pidFile = join(scratch, 'pid');
    const slow = await fakeGo(
      `echo half > "$out"; echo $$ > ${pidFile}.part; mv ${pidFile}.part ${pidFile}; exec sleep 600`,
    );
    const first = startProcess(bareEnv({ PATH: slow.path }));
    const pid = Number(await waitUntil('the build to run', () => readFile(pidFile, 'utf8').catch(() => undefined)));
    first.child.kill('SIGKILL');
    await waitUntil('the build to die with its parent', () => !isAlive(pid));
    await waitUntil('its half-filled folder to go', async () => (await cacheContent()).length === 0);

    const go = await fakeGo('echo built > "$out"');
    const assets = await ensure(bareEnv({ PATH: go.path }));
    expect(await readFile(assets.etcd, 'utf8')).toBe('built\n');
  });
});

describe('when nothing works', () => {
  test('the error tells what was tried, why it failed, and the ways out', async () => {
    const failed = ensure(bareEnv({ PATH: join(scratch, 'empty') }));
    const message = await failed.then(
      () => '',
      (error: Error) => error.message,
    );
    expect(message).toMatch(/download: 127\.0\.0\.1:9: .*ECONNREFUSED/);
    expect(message).toMatch(/build: no usable Go ≥ 1\.26 on the PATH/);
    for (const way of ['KUBEBUILDER_ASSETS', 'install Go', 'GitHub', 'CAPTCHA_OPERATOR_CACHE'])
      expect(message).toContain(way);
  });

  test('because the cache cannot be written, the error says so', async () => {
    await writeFile(join(scratch, 'file'), '');
    const failed = ensure(bareEnv({ CAPTCHA_OPERATOR_CACHE: join(scratch, 'file', 'cache') }));
    await expect(failed).rejects.toThrow(/cache: .*CAPTCHA_OPERATOR_CACHE/s);
  });
});
