/** Credentials from real files: in-cluster, kubeconfigs of every kind, rotation, and errors that quote nothing. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAccess, loadAccess } from '../../src/kube/access.ts';
import { waitUntil } from '../support/wait-until.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kube-access-'));
});
afterEach(() => rm(directory, { recursive: true }));

const write = async (name: string, content: string | object) => {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A kubeconfig of one context; JSON is YAML. */
const configOf = (user: object, cluster: object = {}) => ({
  'current-context': 'main',
  contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
  clusters: [{ name: 'c', cluster: { server: 'https://api.example:6443/', ...cluster } }],
  users: [{ name: 'u', user }],
});
const load = async (user: object, cluster?: object) =>
  loadAccess({ kubeconfigPath: await write('config', configOf(user, cluster)) });

describe('a kubeconfig', () => {
  test('gives server, namespace and token', async () => {
    const access = await load({ token: 't0k' });
    expect([access.server, access.namespace]).toEqual(['https://api.example:6443', 'shop']);
    expect(access.current()).toMatchObject({ authorization: 'Bearer t0k', tls: { rejectUnauthorized: true } });
  });

  test('is read as YAML, too', async () => {
    const path = await write(
      'config',
      [
        'current-context: main',
        'contexts: [{name: main, context: {cluster: c, user: u}}]',
        'clusters:',
        '- name: c',
        '  cluster:',
        '    server: https://api.example',
        '    insecure-skip-tls-verify: true',
        'users:',
        '- {name: u, user: {token: abc}}',
      ].join('\n'),
    );
    const access = await loadAccess({ kubeconfigPath: path });
    expect(access.current()).toMatchObject({ authorization: 'Bearer abc', tls: { rejectUnauthorized: false } });
  });

  test('gives client certificate, key and CA, inline or from files beside it', async () => {
    await write('client.crt', 'CERT');
    await write('ca.crt', 'CA');
    const user = { 'client-certificate': 'client.crt', 'client-key-data': base64('KEY') };
    const access = await load(user, { 'certificate-authority': 'ca.crt', 'tls-server-name': 'inner' });
    expect(access.current()).toMatchObject({
      authorization: undefined,
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'inner' },
    });
  });

  test('prefers data to a file, and a token file to a token, as kubectl does', async () => {
    await write('token', 'from-file\n');
    const access = await load(
      { token: 'inline', tokenFile: 'token' },
      { 'certificate-authority-data': base64('INLINE'), 'certificate-authority': 'absent' },
    );
    expect(access.current()).toMatchObject({ authorization: 'Bearer from-file', tls: { ca: 'INLINE' } });
  });

  test('gives a password as basic authorization', async () => {
    const access = await load({ username: 'me', password: 'pass' });
    expect(access.current().authorization).toBe(`Basic ${base64('me:pass')}`);
  });

  test('is merged from several files, of which the first wins and missing ones do not matter', async () => {
    const first = await write('first', { users: [{ name: 'u', user: { token: 'first' } }] });
    const second = await write('second', configOf({ token: 'second' }));
    const access = await loadAccess({ kubeconfigPath: [first, join(directory, 'absent'), second].join(delimiter) });
    expect(access.current().authorization).toBe('Bearer first');
    expect(access.namespace).toBe('shop');
  });

  test('runs an exec plugin, by a path relative to itself, and again when its token is refused', async () => {
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
    await write(
      'plugin.mjs',
      `import { readFileSync } from 'node:fs';
       const token = readFileSync(new URL('./secret', import.meta.url), 'utf8');
       console.log(JSON.stringify({ ...${JSON.stringify(credential)}, status: { token } }));`,
    );
    await write('secret', 'one');
    const exec = {
      apiVersion: credential.apiVersion,
      command: process.execPath,
      args: [join(directory, 'plugin.mjs')],
      interactiveMode: 'Never',
    };
    const access = await load({ exec });
    expect(access.current().authorization).toBe('Bearer one');
    await write('secret', 'two');
    expect(await access.refresh(access.current())).toBe(true);
    expect(access.current().authorization).toBe('Bearer two');
  });

  test.each([
    ['is missing', undefined, /no kubeconfig could be read/],
    ['is not YAML', 'users: [}{ token: CANARY', /not valid YAML/],
    ['has no current context', { users: [{ name: 'u', user: { token: 'CANARY' } }] }, /no current-context/],
    ['names a user that is not there', { ...configOf({}), users: [] }, /no user named "u"/],
    ['has no server', { ...configOf({ token: 'CANARY' }), clusters: [{ name: 'c' }] }, /no server/],
    ['asks for a proxy', configOf({ token: 'CANARY' }, { 'proxy-url': 'http://p' }), /proxy-url is not supported/],
    ['names a file that is not there', configOf({ tokenFile: 'absent' }), /cannot read absent/],
  ])('that %s is refused, and not quoted', async (_title, content, expected) => {
    const path = content === undefined ? join(directory, 'absent') : await write('config', content);
    const message = await loadAccess({ kubeconfigPath: path }).then(
      () => 'loaded',
      (error: Error) => error.message,
    );
    expect(message).toMatch(expected);
    expect(message).not.toContain('CANARY');
  });
});

const pod = () => ({ serviceHost: '10.0.0.1', servicePort: '443', serviceAccountDirectory: directory });

describe('in a pod', () => {
  beforeEach(async () => {
    await write('token', 'one');
    await write('ca.crt', 'CA one');
    await write('namespace', 'captcha-system\n');
  });

  test('the ServiceAccount is used when there is no KUBECONFIG', async () => {
    const access = await loadAccess({ kubeconfigPath: '', ...pod() });
    expect([access.server, access.namespace]).toEqual(['https://10.0.0.1:443', 'captcha-system']);
    expect(access.current()).toMatchObject({ authorization: 'Bearer one', tls: { ca: 'CA one' }, serial: 1 });
  });

  test('a KUBECONFIG goes before it', async () => {
    const kubeconfigPath = await write('config', configOf({ token: 'mine' }));
    expect((await loadAccess({ ...pod(), kubeconfigPath })).current().authorization).toBe('Bearer mine');
  });

  test('an IPv6 address is put in brackets', async () => {
    expect((await loadAccess({ ...pod(), serviceHost: 'fd00::1' })).server).toBe('https://[fd00::1]:443');
  });

  test('a rotated token needs no new connection, a rotated CA does', async () => {
    const access = await loadAccess(pod());
    await write('token', 'two');
    expect(await access.refresh(access.current())).toBe(true);
    expect(access.current()).toMatchObject({ authorization: 'Bearer two', serial: 1 });
    await write('ca.crt', 'CA two');
    expect(await access.refresh(access.current())).toBe(true);
    expect(access.current()).toMatchObject({ tls: { ca: 'CA two' }, serial: 2 });
    expect(await access.refresh(access.current())).toBe(false);
  });

  test('the old credentials stay while a file is missing', async () => {
    const access = await loadAccess(pod());
    await rename(join(directory, 'token'), join(directory, 'token.away'));
    expect(await access.refresh(access.current())).toBe(false);
    expect(access.current().authorization).toBe('Bearer one');
  });
});

test('outside of a pod the kubeconfig of the home directory is used', async () => {
  await mkdir(join(directory, '.kube'));
  await write('.kube/config', configOf({ token: 'home' }));
  expect((await loadAccess({ homeDirectory: directory })).current().authorization).toBe('Bearer home');
});

test('a source that never answers is given up after a while, and asked again the next time', async () => {
  let reads = 0;
  const read = (): Promise<{ authorization: string; tls: object }> => {
    reads += 1;
    return reads === 2 ? new Promise(() => {}) : Promise.resolve({ authorization: `Bearer ${reads}`, tls: {} });
  };
  const access = await createAccess({ server: 'https://api', namespace: undefined, read }, { readTimeoutMs: 20 });
  expect(await access.refresh(access.current())).toBe(false);
  const renewed = await waitUntil('another reading', async () => await access.refresh(access.current()));
  expect([renewed, access.current().authorization]).toEqual([true, 'Bearer 3']);
});

test('a source that has nothing new is not asked by every call that is refused', async () => {
  let reads = 0;
  const read = () => Promise.resolve({ authorization: `Bearer same`, tls: {}, reads: (reads += 1) });
  const access = await createAccess({ server: 'https://api', namespace: undefined, read });
  const refused = access.current();
  for (let call = 0; call < 16; call++) expect(await access.refresh(refused)).toBe(false);
  expect(reads).toBe(2);
});
