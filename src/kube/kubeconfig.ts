/**
 * Reads kubeconfig files. Static credentials (token, token file, client certificate) and whom to impersonate are read
 * here, exec plugins run by `exec-plugin.ts`; importing the Kubernetes library's configuration costs about a second and
 * 90 MB, so only users with an auth provider load it, which the image therefore lacks. Refuses what it cannot honour (a
 * proxy, a password, which no supported Kubernetes takes) instead of ignoring it.
 * File format: "Organizing Cluster Access Using kubeconfig Files" and the reference of kubeconfig (v1).
 */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import type { AccessSource, Credentials, Impersonation, TlsParts } from './credentials.ts';
import { createPlugin } from './exec-plugin.ts';

type Fields = Record<string, unknown>;
/** A named entry and the folder its relative paths start from. */
interface Entry {
  fields: Fields;
  directory: string;
}
interface Kubeconfig {
  clusters: Map<string, Entry>;
  users: Map<string, Entry>;
  contexts: Map<string, Entry>;
  currentContext: string | undefined;
}

/** Which context is meant, and what plugins need; for tests also how long they may run. */
export interface PluginSurroundings {
  /** Another context than the current one. */
  context?: string | undefined;
  /** The process's own environment. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
  pluginTimeoutMs?: number | undefined;
}

/**
 * @param paths one path, or several as in `KUBECONFIG`; the first file that sets a value wins, missing ones are skipped
 * @throws Error naming the file or the entry that is missing or unreadable
 */
export async function loadKubeconfig(paths: string, surroundings: PluginSurroundings = {}): Promise<AccessSource> {
  const files = paths.split(delimiter).filter((path) => path !== '');
  const config = await readFiles(files);
  const contextName = surroundings.context ?? config.currentContext;
  if (contextName === undefined) throw new Error(`kubeconfig ${paths}: no current-context`);
  const context = entryOf(config.contexts, 'context', contextName);
  const cluster = entryOf(config.clusters, 'cluster', text(context.fields['cluster']) ?? '');
  const server = text(cluster.fields['server']);
  if (server === undefined) throw new Error(`kubeconfig ${paths}: the cluster has no server`);
  if (text(cluster.fields['proxy-url'])) throw new Error(`kubeconfig ${paths}: proxy-url is not supported`);
  const userName = text(context.fields['user']);
  const user = userName === undefined ? { fields: {}, directory: '.' } : entryOf(config.users, 'user', userName);
  return {
    server: server.replace(/\/+$/, ''),
    namespace: text(context.fields['namespace']),
    read: await readerOf(cluster, user, surroundings),
  };
}

async function readerOf(
  cluster: Entry,
  user: Entry,
  surroundings: PluginSurroundings,
): Promise<(rejected: boolean) => Promise<Credentials>> {
  const impersonation = impersonationOf(user.fields);
  const read = await identityReader(cluster, user, surroundings);
  return async (rejected) => ({ ...(await read(rejected)), impersonation });
}

/**
 * Whom the user acts as (`as`, `as-uid`, `as-groups`, `as-user-extra`), as request headers.
 * Source: "User impersonation" of the Kubernetes authentication documentation.
 * @throws Error where a group, uid or extra field stands without a user: the server would refuse every request
 */
function impersonationOf(user: Fields): Impersonation {
  const extra = user['as-user-extra'];
  const extras = Object.entries(isFields(extra) ? extra : {});
  const headers = [
    ...textsOf(user['as']).map((name) => ['impersonate-user', name] as const),
    ...textsOf(user['as-uid']).map((uid) => ['impersonate-uid', uid] as const),
    ...textsOf(user['as-groups']).map((group) => ['impersonate-group', group] as const),
    ...extras.flatMap(([key, values]) => textsOf(values).map((value) => [headerOf(key), value] as const)),
  ];
  const alone = ['as-uid', 'as-groups', 'as-user-extra'].find((field) => field in user);
  if (alone !== undefined && headers[0]?.[0] !== 'impersonate-user') throw new Error(`kubeconfig: ${alone} without as`);
  return headers;
}

/** Header names are case-insensitive and of few characters, so keys are sent in lower case and percent-encoded. */
function headerOf(key: string): string {
  return `impersonate-extra-${encodeURIComponent(key.toLowerCase()).toLowerCase()}`;
}

function textsOf(value: unknown): string[] {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((one): one is string => typeof one === 'string' && one !== '');
}

async function identityReader(
  cluster: Entry,
  user: Entry,
  surroundings: PluginSurroundings,
): Promise<AccessSource['read']> {
  const { fields } = absolute(user, []);
  if (isFields(fields['exec'])) return execReader(cluster, user, { ...surroundings, exec: fields['exec'] });
  if ('auth-provider' in fields) return providerReader(cluster, user);
  if ('username' in fields || 'password' in fields) throw new Error('kubeconfig: passwords are not supported');
  return () => readStatic(cluster, user);
}

async function readFiles(files: string[]): Promise<Kubeconfig> {
  const config: Kubeconfig = {
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
    currentContext: undefined,
  };
  let found = 0;
  for (const file of files) {
    const content = await readFile(file, 'utf8').catch(() => undefined);
    if (content === undefined) continue;
    found++;
    const document = parse(file, content);
    const directory = dirname(resolve(file));
    config.currentContext ??= text(document['current-context']);
    collect(config.clusters, document['clusters'], { inner: 'cluster', directory });
    collect(config.users, document['users'], { inner: 'user', directory });
    collect(config.contexts, document['contexts'], { inner: 'context', directory });
  }
  if (found === 0) throw new Error(`no kubeconfig could be read at ${files.join(', ') || '(empty path)'}`);
  return config;
}

function parse(file: string, content: string): Fields {
  let document: unknown;
  try {
    document = load(content);
  } catch {
    // The parser's own message quotes the file, and the file holds secrets.
    throw new Error(`kubeconfig ${file}: not valid YAML`);
  }
  if (!isFields(document)) throw new Error(`kubeconfig ${file}: not a mapping`);
  return document;
}

function collect(into: Map<string, Entry>, list: unknown, shape: { inner: string; directory: string }): void {
  if (!Array.isArray(list)) return;
  for (const item of list as unknown[]) {
    if (!isFields(item)) continue;
    const name = text(item['name']);
    const fields = item[shape.inner];
    if (name === undefined || into.has(name)) continue;
    into.set(name, { fields: isFields(fields) ? fields : {}, directory: shape.directory });
  }
}

function entryOf(entries: Map<string, Entry>, kind: string, name: string): Entry {
  const entry = entries.get(name);
  if (entry === undefined) throw new Error(`kubeconfig: there is no ${kind} named "${name}"`);
  return entry;
}

async function readStatic(cluster: Entry, user: Entry): Promise<Credentials> {
  const tls: TlsParts = {
    ca: await dataOrFile(cluster, 'certificate-authority'),
    cert: await dataOrFile(user, 'client-certificate'),
    key: await dataOrFile(user, 'client-key'),
    servername: text(cluster.fields['tls-server-name']),
    rejectUnauthorized: cluster.fields['insecure-skip-tls-verify'] !== true,
  };
  return { authorization: await authorizationOf(user), tls };
}

async function authorizationOf(user: Entry): Promise<string | undefined> {
  const tokenFile = text(user.fields['tokenFile']);
  if (tokenFile !== undefined) return `Bearer ${(await readIn(user.directory, tokenFile)).trim()}`;
  const token = text(user.fields['token']);
  return token === undefined ? undefined : `Bearer ${token}`;
}

/** `<field>-data` (base64) goes before `<field>` (a path), as in kubectl. */
async function dataOrFile(entry: Entry, field: string): Promise<string | undefined> {
  const data = text(entry.fields[`${field}-data`]);
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  const path = text(entry.fields[field]);
  return path === undefined ? undefined : readIn(entry.directory, path);
}

async function readIn(directory: string, path: string): Promise<string> {
  try {
    return await readFile(resolve(directory, path), 'utf8');
  } catch (error) {
    throw new Error(`kubeconfig: cannot read ${path}`, { cause: error });
  }
}

async function execReader(
  cluster: Entry,
  user: Entry,
  { exec, environment = {}, pluginTimeoutMs }: PluginSurroundings & { exec: Fields },
): Promise<AccessSource['read']> {
  const told = await clusterForPlugins(cluster);
  const ask = createPlugin({ exec, cluster: told, environment, timeoutMs: pluginTimeoutMs });
  return async (rejected) => {
    const { token, tls } = await ask(rejected);
    const base = await readStatic(cluster, user);
    return {
      authorization: token === undefined ? base.authorization : `Bearer ${token}`,
      tls: tls.cert === undefined ? base.tls : { ...base.tls, ...tls },
    };
  };
}

const PLUGIN_EXTENSION = 'client.authentication.k8s.io/exec';

/** The cluster in the spelling of `ExecCredential`, which has the certificates inline. */
async function clusterForPlugins(cluster: Entry): Promise<Fields> {
  const { server, extensions } = cluster.fields;
  const kept = ['tls-server-name', 'insecure-skip-tls-verify'].filter((field) => field in cluster.fields);
  const ca = await dataOrFile(cluster, 'certificate-authority');
  const named = Array.isArray(extensions) ? (extensions as Fields[]) : [];
  const config = named.find(({ name }) => name === PLUGIN_EXTENSION)?.['extension'];
  return {
    server,
    ...Object.fromEntries(kept.map((field) => [field, cluster.fields[field]])),
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
    ...(config === undefined ? {} : { config }),
  };
}

/**
 * Auth providers: the library runs them and keeps their tokens until they expire. A rejected token is forgotten by
 * starting over, because the library keeps tokens without an expiry for ever.
 */
async function providerReader(cluster: Entry, user: Entry): Promise<AccessSource['read']> {
  const { KubeConfig } = await loadLibrary();
  const document = JSON.stringify({
    'current-context': 'only',
    contexts: [{ name: 'only', context: { cluster: 'only', user: 'only' } }],
    clusters: [{ name: 'only', cluster: absolute(cluster, ['certificate-authority']).fields }],
    users: [{ name: 'only', user: absolute(user, ['client-certificate', 'client-key']).fields }],
  });
  const start = () => {
    const config = new KubeConfig();
    config.loadFromString(document);
    return config;
  };
  let config = start();
  return async (rejected) => {
    if (rejected) config = start();
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(options);
    const headers = (options.headers ?? {}) as Record<string, unknown>;
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const tls = { ca: pem(ca), cert: pem(cert), key: pem(key), servername };
    return {
      authorization: text(headers['Authorization']),
      tls: { ...tls, rejectUnauthorized: rejectUnauthorized !== false },
    };
  };
}

/** The image goes without it and the half of all packages that come with it. */
async function loadLibrary() {
  try {
    return await import('@kubernetes/client-node/dist/config.js');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const instead = 'use a token, a client certificate or an exec plugin';
    throw new Error(`kubeconfig: an auth-provider needs @kubernetes/client-node, which is not installed; ${instead}`, {
      cause: error,
    });
  }
}

/** Paths in a kubeconfig start from its folder; so does the command of a plugin when it has a slash in it. */
function absolute(entry: Entry, pathFields: string[]): Entry {
  const fields = { ...entry.fields };
  for (const field of pathFields) {
    const path = text(fields[field]);
    if (path !== undefined) fields[field] = resolve(entry.directory, path);
  }
  const exec = fields['exec'];
  const command = isFields(exec) ? text(exec['command']) : undefined;
  if (isFields(exec) && command?.includes('/')) {
    fields['exec'] = { ...exec, command: resolve(entry.directory, command) };
  }
  return { fields, directory: entry.directory };
}

function pem(value: unknown): string | undefined {
  return Buffer.isBuffer(value) ? value.toString('utf8') : text(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A non-empty string, else undefined. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
