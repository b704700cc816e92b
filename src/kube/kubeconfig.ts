/**
 * Reads kubeconfig files. Static credentials (token, token file, client certificate, password) are read here, because
 * importing the Kubernetes library's configuration costs about a second and 90 MB; only users that need an exec plugin
 * or an auth provider load it. Refuses what it cannot honour (a proxy) instead of ignoring it. Called by `access.ts`.
 * File format: "Organizing Cluster Access Using kubeconfig Files" and the reference of kubeconfig (v1).
 */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import type { AccessSource, Credentials, TlsParts } from './credentials.ts';

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

/**
 * @param paths one path, or several as in `KUBECONFIG`; the first file that sets a value wins, missing ones are skipped
 * @throws Error naming the file or the entry that is missing or unreadable
 */
export async function loadKubeconfig(paths: string): Promise<AccessSource> {
  const files = paths.split(delimiter).filter((path) => path !== '');
  const config = await readFiles(files);
  const contextName = config.currentContext;
  if (contextName === undefined) throw new Error(`kubeconfig ${paths}: no current-context`);
  const context = entryOf(config.contexts, 'context', contextName);
  const cluster = entryOf(config.clusters, 'cluster', text(context.fields['cluster']) ?? '');
  const server = text(cluster.fields['server']);
  if (server === undefined) throw new Error(`kubeconfig ${paths}: the cluster has no server`);
  if (text(cluster.fields['proxy-url'])) throw new Error(`kubeconfig ${paths}: proxy-url is not supported`);
  const userName = text(context.fields['user']);
  const user = userName === undefined ? { fields: {}, directory: '.' } : entryOf(config.users, 'user', userName);
  const needsLibrary = 'exec' in user.fields || 'auth-provider' in user.fields;
  return {
    server: server.replace(/\/+$/, ''),
    namespace: text(context.fields['namespace']),
    read: needsLibrary ? await pluginReader(cluster, user) : () => readStatic(cluster, user),
  };
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
  if (token !== undefined) return `Bearer ${token}`;
  const username = text(user.fields['username']);
  if (username === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${text(user.fields['password']) ?? ''}`).toString('base64')}`;
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

/**
 * Exec plugins and auth providers: the library runs them and keeps their tokens until they expire. A rejected token is
 * forgotten by starting over, because the library keeps tokens without an expiry for ever.
 */
async function pluginReader(cluster: Entry, user: Entry): Promise<AccessSource['read']> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
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
