/** Files at the root of the callback host: what is served to whom, from a directory that changes as a ConfigMap does. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { loadRootFiles, ROOT_FILES, type LoadedRootFiles } from '../../src/callback/root-files.ts';
import { startChild } from '../../dev/child.ts';
import { startSimulator } from '../../dev/simulator/index.ts';
import { T0, aTask } from '../support/builders.ts';
import { startSidecar, type Reply, type Sidecar } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let outside: string;
let directory: string;
let loads: (readonly string[])[];
let faults: string[];
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  outside = await mkdtemp(join(tmpdir(), 'captcha-root-files-'));
  directory = join(outside, 'mounted');
  await mkdir(directory);
  loads = [];
  faults = [];
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await rm(outside, { recursive: true, force: true });
});

/** What the kubelet does: a new directory beside the old one, and one rename of the link that all entries go through. */
async function project(version: string, files: Record<string, string>): Promise<void> {
  await mkdir(join(directory, `..${version}`));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, `..${version}`, name), text);
  await symlink(`..${version}`, join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  for (const name of Object.keys(files)) await symlink(`..data/${name}`, join(directory, name)).catch(() => undefined);
}

async function serve(reloadIntervalMs = 3_600_000): Promise<{ sidecar: Sidecar; files: LoadedRootFiles }> {
  const files = await loadRootFiles({
    directory,
    reloadIntervalMs,
    onLoaded: (names) => loads.push(names),
    onFault: (fault) => faults.push(fault),
  });
  closers.push(() => files.stop());
  const sidecar = await startSidecar({ rootFiles: files });
  closers.push(async () => {
    await sidecar.stop();
    expect(sidecar.crashes).toEqual([]);
  });
  return { sidecar, files };
}

const request = (sidecar: Sidecar, method: string, target: string): Promise<string> =>
  sidecar.raw(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);

describe('a file of the directory', () => {
  test('is served verbatim as text, and counts as no callback', async () => {
    await project('1', { '2captcha.txt': ' abc=ä<b>\r\n\n' });
    const { sidecar } = await serve();
    expect(await sidecar.get('/2captcha.txt')).toMatchObject<Partial<Reply>>({
      status: 200,
      body: ' abc=ä<b>\r\n\n',
      headers: { 'content-type': 'text/plain', 'x-content-type-options': 'nosniff' },
    });
    expect((await sidecar.get('/2captcha.txt?again=1')).status).toBe(200);
    expect(sidecar.results).toEqual([]);
    expect(loads).toEqual([['2captcha.txt']]);
  });

  test('is answered to HEAD without its content, and to no other method', async () => {
    await project('1', { '2captcha.txt': 'code' });
    const { sidecar } = await serve();
    const head = await request(sidecar, 'HEAD', '/2captcha.txt');
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(head).toContain('Content-Length: 4\r\n');
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const text = await request(sidecar, method, '/2captcha.txt');
      expect(text).toMatch(/^HTTP\/1\.1 405 /);
      expect(text).toContain('Allow: GET, HEAD\r\n');
    }
    expect(sidecar.results).toEqual([]);
  });

  test('is served by exactly its name, and nothing else is', async () => {
    await project('1', { '2captcha.txt': 'code' });
    await writeFile(join(outside, 'secret.txt'), 'secret');
    const { sidecar } = await serve();
    const targets = [
      '/',
      '/2CAPTCHA.txt',
      '/2captcha%2Etxt',
      '//2captcha.txt',
      '/./2captcha.txt',
      '/2captcha.txt/',
      '/2captcha.txt%00',
      '/..data/2captcha.txt',
      '/..1/2captcha.txt',
      '/..data',
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/__proto__',
      '/v1/2captcha.txt',
    ];
    for (const target of targets) expect(await request(sidecar, 'GET', target), target).toMatch(/^HTTP\/1\.1 404 /);
    expect(sidecar.results).toEqual(targets.map(() => 'misrouted'));
  });
});

describe('the directory', () => {
  test('is read again: a new version of a ConfigMap is served by itself', async () => {
    await project('1', { '2captcha.txt': 'old', 'gone.txt': 'x' });
    const { sidecar } = await serve(10);
    await project('2', { '2captcha.txt': 'new', 'more.txt': 'y' });
    await rm(join(directory, 'gone.txt'));
    await waitUntil('the new version', async () => (await sidecar.get('/2captcha.txt')).body === 'new');
    await waitUntil('the new file', async () => (await sidecar.get('/more.txt')).status === 200);
    await waitUntil('the old file to be gone', async () => (await sidecar.get('/gone.txt')).status === 404);
  });

  test('is read between requests, not by them', async () => {
    await project('1', { '2captcha.txt': 'old' });
    const { sidecar, files } = await serve();
    await project('2', { '2captcha.txt': 'new' });
    expect((await sidecar.get('/2captcha.txt')).body).toBe('old');
    await files.reload();
    expect((await sidecar.get('/2captcha.txt')).body).toBe('new');
  });

  test('may come later, and what was served stays when it goes; each fault is told once', async () => {
    await rm(directory, { recursive: true });
    const { sidecar, files } = await serve();
    expect((await sidecar.get('/2captcha.txt')).status).toBe(404);
    await files.reload();
    expect(faults).toEqual(['the directory cannot be read (ENOENT)']);
    await mkdir(directory);
    await project('1', { '2captcha.txt': 'code' });
    await files.reload();
    expect((await sidecar.get('/2captcha.txt')).body).toBe('code');
    await rm(directory, { recursive: true });
    await files.reload();
    expect((await sidecar.get('/2captcha.txt')).body).toBe('code');
    expect(faults).toHaveLength(2);
  });

  test('publishes no hidden entry, no folder, nothing from elsewhere, and says what it leaves out', async () => {
    await project('1', { 'right.txt': 'code' });
    await writeFile(join(outside, 'secret.txt'), 'secret');
    await writeFile(join(directory, '.hidden'), 'x');
    await mkdir(join(directory, 'folder'));
    await symlink('../secret.txt', join(directory, 'link.txt'));
    await symlink('nowhere', join(directory, 'broken.txt'));
    await writeFile(join(directory, 'a b.txt'), 'x');
    execFileSync('mkfifo', [join(directory, 'pipe.txt')]);
    const { sidecar } = await serve();
    expect(loads).toEqual([['right.txt']]);
    expect(faults.join().split('; ').toSorted()).toEqual([
      '"a b.txt": the name has other characters than A-Za-z0-9._-',
      '"broken.txt": the file cannot be read (ENOENT)',
      '"folder": not a regular file',
      '"link.txt": the link leads out of the directory',
      '"pipe.txt": not a regular file',
    ]);
    for (const name of ['link.txt', '.hidden', 'folder', 'a b.txt'].map(encodeURI)) {
      expect((await sidecar.get(`/${name}`)).status).toBe(404);
    }
  });

  test('is held to its bounds: the largest file is served, one byte more is not, and no more files than there may be', async () => {
    const largest = 'x'.repeat(ROOT_FILES.fileBytes);
    await project('1', { 'a-largest.txt': largest, 'b-too-large.txt': `${largest}x` });
    for (let count = 10; count < 10 + ROOT_FILES.files; count++) await writeFile(join(directory, `c${count}.txt`), 'x');
    const { sidecar } = await serve();
    expect((await sidecar.get('/a-largest.txt')).body).toBe(largest);
    expect((await sidecar.get('/b-too-large.txt')).status).toBe(404);
    expect(loads[0]).toHaveLength(ROOT_FILES.files - 1);
    expect(faults).toEqual(['"b-too-large.txt": larger than 8192 bytes; more than 16 files']);
  });
});

describe('beside the files', () => {
  test('callbacks are received as without them, also where a file has a name that a path of ours begins with', async () => {
    await project('1', { '2captcha.txt': 'code', v1: 'not a callback' });
    const { sidecar } = await serve();
    const task = aTask().intended(T0).submitted(T0).build();
    sidecar.api.seed(CAPTCHA_TASK.plural, task);
    expect(await sidecar.get(`${sidecar.pathFor(task)}?id=7383820010&code=x`)).toMatchObject({ status: 200 });
    expect((await sidecar.get('/v1/callback/x')).status).toBe(404);
    expect(sidecar.results[1]).toBe('unauthorized');
  });
});

describe('with CALLBACK_ROOT_FILES', () => {
  test('the sidecar lets an account register its host with a provider that looks for the ownership file', async () => {
    const simulator = await startSimulator({ dialect: 'family', switches: { pingback: 'registered' } });
    closers.push(() => simulator.stop());
    const key = 'b'.repeat(32);
    await simulator.control.account(key, { ownershipCode: 'f00dcafe' });
    const port = await startProcess();
    const ask = async (action: string): Promise<string> => {
      const addr = `127.0.0.1:${port}`;
      const body = new URLSearchParams({ key, action, addr });
      return (await fetch(`${simulator.url}/res.php`, { method: 'POST', body })).text();
    };
    expect(await ask('add_pingback')).toBe('ERROR_IP_ADDRES');
    await project('1', { '2captcha.txt': 'f00dcafe\n' });
    await waitUntil('the host to be registered', async () => (await ask('add_pingback')) === 'OK_PINGBACK');
    expect(await ask('get_pingback')).toBe(`OK|127.0.0.1:${port}`);
  });
});

/** The process itself, whose Kubernetes API is away; returns the port for callbacks. */
async function startProcess(): Promise<number> {
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(outside, name), text);
    return join(outside, name);
  };
  const kubeconfig = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'c', user: { token: 't' } }],
  };
  const child = startChild({
    entry: 'callback',
    env: {
      PATH: process.env['PATH'] ?? '',
      KUBECONFIG: await write('kubeconfig', JSON.stringify(kubeconfig)),
      CALLBACK_KEYS_FILE: await write('keys', `k1:${Buffer.alloc(32, 1).toString('base64')}\n`),
      CALLBACK_ROOT_FILES: directory,
      SPOOL_DIR: join(outside, 'spool'),
      ...Object.fromEntries(['METRICS', 'HEALTH', 'CALLBACK'].map((name) => [`${name}_BIND_ADDRESS`, '127.0.0.1:0'])),
    },
  });
  closers.push(() => child.stop());
  const line = await child.waitForLine('the listener', (told) => told['listener'] === 'callback');
  return Number(line['port']);
}
