/** Credentials from real files: in-cluster, kubeconfigs of every kind, rotation, and errors that quote nothing. */
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAccess, loadAccess } from '../../src/kube/access.ts';
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts';
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

  test('that impersonates somebody does so, with groups and everything else', async () => {
    const extra = { scopes: ['view', 'dev'], 'acme.com/a%b': ['x'] };
    const user = { token: 'admin', as: 'jane', 'as-uid': '7', 'as-groups': ['a', 'b'], 'as-user-extra': extra };
    expect((await load(user)).current()).toMatchObject({
      authorization: 'Bearer admin',
      impersonation: [
        ['impersonate-user', 'jane'],
        ['impersonate-uid', '7'],
        ['impersonate-group', 'a'],
        ['impersonate-group', 'b'],
        ['impersonate-extra-scopes', 'view'],
        ['impersonate-extra-scopes', 'dev'],
        ['impersonate-extra-acme.com%2fa%25b', 'x'],
      ],
    });
  });

  test('gives the token of an auth provider', async () => {
    const parts = [{ alg: 'none' }, { exp: Date.now() / 1_000 + 3_600 }];
    const idToken = [...parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')), 'x'].join('.');
    const config = { 'client-id': 'me', 'idp-issuer-url': 'https://issuer.example', 'id-token': idToken };
    const access = await load({ 'auth-provider': { name: 'oidc', config } });
    expect(access.current()).toMatchObject({ authorization: `Bearer ${idToken}`, tls: { rejectUnauthorized: true } });
  });

  test('is merged from several files, of which the first wins and missing ones do not matter', async () => {
    const first = await write('first', { users: [{ name: 'u', user: { token: 'first' } }] });
    const second = await write('second', configOf({ token: 'second' }));
    const access = await loadAccess({ kubeconfigPath: [first, join(directory, 'absent'), second].join(delimiter) });
    expect(access.current().authorization).toBe('Bearer first');
    expect(access.namespace).toBe('shop');
  });

  test.each([
    ['is missing', undefined, /no kubeconfig could be read/],
    ['is not YAML', 'users: [}{ token: CANARY', /not valid YAML/],
    ['has no current context', { users: [{ name: 'u', user: { token: 'CANARY' } }] }, /no current-context/],
    ['names a user that is not there', { ...configOf({}), users: [] }, /no user named "u"/],
    ['has no server', { ...configOf({ token: 'CANARY' }), clusters: [{ name: 'c' }] }, /no server/],
    ['asks for a proxy', configOf({ token: 'CANARY' }, { 'proxy-url': 'http://p' }), /proxy-url is not supported/],
    ['has a password', configOf({ username: 'me', password: 'CANARY' }), /passwords are not supported/],
    ['impersonates a group and no user', configOf({ 'as-groups': ['CANARY'] }), /as-groups without as/],
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

const runs = async () => (await readFile(join(directory, 'runs'), 'utf8')).length;
const told = async (exec: object, cluster?: object) =>
  JSON.parse((await load({ exec }, cluster)).current().authorization?.slice('Bearer '.length) ?? '') as object;
const failure = (loading: Promise<unknown>) =>
  loading.then(
    () => 'loaded',
    (error: Error) => error.message,
  );

describe('an exec plugin', () => {
  const CREDENTIAL = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
  /** A plugin that counts its runs in the file `runs`, and then does what its body says. */
  const plugin = async (body: string, extra: object = {}) => {
    await write(
      'plugin.mjs',
      `import { appendFileSync, readFileSync } from 'node:fs';
       const here = (name) => new URL('./' + name, import.meta.url);
       const give = (status) => console.log(JSON.stringify({ ...${JSON.stringify(CREDENTIAL)}, status }));
       appendFileSync(here('runs'), 'x');
       ${body}`,
    );
    const args = [join(directory, 'plugin.mjs')];
    return { apiVersion: CREDENTIAL.apiVersion, command: process.execPath, args, interactiveMode: 'Never', ...extra };
  };

  test('is run again when its token is refused or has expired, and not otherwise', async () => {
    const exec = await plugin(`const [token, expirationTimestamp] = readFileSync(here('secret'), 'utf8').split(' ');
                               give({ token, ...(expirationTimestamp && { expirationTimestamp }) });`);
    await write('secret', 'one');
    const source = await loadKubeconfig(await write('config', configOf({ exec })));
    const authorization = async (rejected: boolean) => (await source.read(rejected)).authorization;
    expect(await authorization(false)).toBe('Bearer one');
    await write('secret', `two ${new Date(Date.now() - 1_000).toISOString()}`);
    expect([await authorization(false), await runs()]).toEqual(['Bearer one', 1]);
    expect([await authorization(true), await runs()]).toEqual(['Bearer two', 2]);
    await write('secret', `three ${new Date(Date.now() + 3_600_000).toISOString()}`);
    expect([await authorization(false), await authorization(false), await runs()]).toEqual([
      'Bearer three',
      'Bearer three',
      3,
    ]);
  });

  test('is found by a path relative to the kubeconfig', async () => {
    await write('plugin.sh', `#!/bin/sh\necho '{"status":{"token":"relative"}}'\n`);
    await chmod(join(directory, 'plugin.sh'), 0o700);
    const exec = { apiVersion: CREDENTIAL.apiVersion, command: './plugin.sh' };
    expect((await load({ exec })).current().authorization).toBe('Bearer relative');
  });

  test('may give a client certificate', async () => {
    const exec = await plugin(`give({ clientCertificateData: 'CERT', clientKeyData: 'KEY' });`);
    const access = await load({ exec }, { 'certificate-authority-data': base64('CA') });
    expect(access.current()).toMatchObject({ authorization: undefined, tls: { ca: 'CA', cert: 'CERT', key: 'KEY' } });
  });

  test('is told of the cluster where it asks for that, and never of a terminal', async () => {
    const body = `give({ token: process.env.KUBERNETES_EXEC_INFO });`;
    expect(await told(await plugin(body))).toEqual({ ...CREDENTIAL, spec: { interactive: false } });
    const cluster = {
      'certificate-authority-data': base64('CA'),
      extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'a' } }],
    };
    expect(await told(await plugin(body, { provideClusterInfo: true }), cluster)).toEqual({
      ...CREDENTIAL,
      spec: {
        interactive: false,
        cluster: {
          server: 'https://api.example:6443/',
          'certificate-authority-data': base64('CA'),
          config: { audience: 'a' },
        },
      },
    });
  });

  test('finds its stdin closed, and the environment it is given', async () => {
    const exec = await plugin(`give({ token: readFileSync(0, 'utf8') + process.env.NAME + process.env.OUTER });`, {
      env: [{ name: 'NAME', value: 'given ' }],
    });
    const kubeconfigPath = await write('config', configOf({ exec }));
    const access = await loadAccess({ kubeconfigPath, environment: { OUTER: 'inherited' } });
    expect(access.current().authorization).toBe('Bearer given inherited');
  });

  test('that fails is named, and nothing that it wrote is quoted', async () => {
    const exec = await plugin(`console.error('CANARY\\nCANARY'); console.log('CANARY'); process.exit(3);`);
    const message = await failure(load({ exec }));
    expect(message).toMatch(/^exec plugin .* ended with 3, and 2 lines on stderr/);
    expect(message).not.toContain('CANARY');
  });

  test('that prints no credentials is refused', async () => {
    expect(await failure(load({ exec: await plugin(`console.log('CANARY');`) }))).toMatch(
      /^exec plugin \S+ printed no ExecCredential/,
    );
  });

  test('that does not end is killed', async () => {
    const exec = await plugin(`appendFileSync(here('pid'), String(process.pid)); setInterval(() => {}, 1_000);`);
    const kubeconfigPath = await write('config', configOf({ exec }));
    const loading = failure(loadAccess({ kubeconfigPath, pluginTimeoutMs: 1_000 }));
    const pid = Number(await waitUntil('the plugin to run', () => readFile(join(directory, 'pid'), 'utf8')));
    expect(await loading).toMatch(/did not end within 1 s/);
    await waitUntil('the plugin to be gone', () => {
      try {
        return !process.kill(pid, 0);
      } catch {
        return true;
      }
    });
  });

  test.each([
    ['is not installed', { command: 'no-such-plugin', installHint: 'get it there' }, /ENOENT\); get it there/],
    ['needs a terminal', { interactiveMode: 'Always' }, /no terminal/],
    ['speaks another version', { apiVersion: 'client.authentication.k8s.io/v1alpha1' }, /apiVersion must be/],
    ['has no command', { command: undefined }, /no command/],
  ])('that %s is refused', async (_title, extra, expected) => {
    expect(await failure(load({ exec: await plugin(`give({ token: 't' });`, extra) }))).toMatch(expected);
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

test('a source that cannot be read any more is told once, until it can', async () => {
  let fault: string | undefined;
  let reads = 0;
  const read = () => {
    reads += 1;
    if (fault !== undefined) return Promise.reject(new Error(fault));
    return Promise.resolve({ authorization: `Bearer ${reads}`, tls: {} });
  };
  const faults: string[] = [];
  const hooks = { onFault: (text: string) => faults.push(text) };
  const access = await createAccess({ server: 'https://api', namespace: undefined, read }, { hooks });
  const renewed = () => waitUntil('credentials to be new', async () => await access.refresh(access.current()));
  fault = 'exec plugin x ended with 1';
  const before = access.current();
  expect(await access.refresh(before)).toBe(false);
  await waitUntil('another reading', async () => (await access.refresh(before)) || reads > 2);
  fault = undefined;
  await renewed();
  fault = 'gone again';
  await access.refresh(access.current());
  expect(faults).toEqual(['exec plugin x ended with 1', 'gone again']);
});

test('a source that has nothing new is not asked by every call that is refused', async () => {
  let reads = 0;
  const read = () => Promise.resolve({ authorization: `Bearer same`, tls: {}, reads: (reads += 1) });
  const access = await createAccess({ server: 'https://api', namespace: undefined, read });
  const refused = access.current();
  for (let call = 0; call < 16; call++) expect(await access.refresh(refused)).toBe(false);
  expect(reads).toBe(2);
});
