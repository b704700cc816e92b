/**
 * Downloads an envtest release: etcd, kube-apiserver and kubectl as the Kubernetes project publishes them for tests,
 * verified against the SHA-512 sum in the release index. Gives up quickly where the index cannot be reached, so that
 * a machine without GitHub loses seconds, not minutes. Archives whose sum differs are never unpacked.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { EnvHttpProxyAgent, request } from 'undici';
import { parse } from 'yaml';

import { spawnGuarded } from './guard.ts';
import { withProgress, type Log } from './progress.ts';
import { BINARIES, ENVTEST_INDEX_URL, KUBERNETES_VERSION, platform } from './versions.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const INDEX_TIMEOUT_MS = 10_000;
/** An archive that sends nothing for this long has stalled. */
const STALL_TIMEOUT_MS = 20_000;

interface Archive {
  version: string;
  url: string;
  sha512: string;
}

/** Puts the binaries into `directory` and returns their origin. Throws with the reason when any step fails. */
export async function downloadEnvtest(directory: string, log: Log, env: NodeJS.ProcessEnv): Promise<string> {
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: INDEX_TIMEOUT_MS,
    bodyTimeout: STALL_TIMEOUT_MS,
  });
  try {
    const indexURL = env['CAPTCHA_OPERATOR_ENVTEST_INDEX'] || ENVTEST_INDEX_URL;
    log(`looking for an envtest release in ${indexURL}`);
    const archive = await findArchive(indexURL, dispatcher);
    const file = join(directory, 'envtest.tar.gz');
    await fetchArchive(archive, file, { dispatcher, log });
    await unpack(file, directory);
    return `envtest ${archive.version}`;
  } finally {
    await dispatcher.destroy();
  }
}

async function findArchive(indexURL: string, dispatcher: EnvHttpProxyAgent): Promise<Archive> {
  const index = parse(await readText(indexURL, dispatcher)) as {
    releases?: Record<string, Record<string, { hash?: string; selfLink?: string }>>;
  } | null;
  const version = newestOfMinor(Object.keys(index?.releases ?? {}));
  if (version === undefined)
    throw new Error(`the envtest index lists no release of Kubernetes ${minorOf(KUBERNETES_VERSION)}`);
  const name = `envtest-${version}-${platform()}.tar.gz`;
  const entry = index?.releases?.[version]?.[name];
  if (!entry?.hash || !entry.selfLink) throw new Error(`the envtest index has no complete entry for ${name}`);
  return { version, url: new URL(entry.selfLink, indexURL).href, sha512: entry.hash.toLowerCase() };
}

/** envtest is not published for every patch release: the pinned one where it exists, else the newest of its minor. */
function newestOfMinor(versions: string[]): string | undefined {
  const pinned = `v${KUBERNETES_VERSION}`;
  if (versions.includes(pinned)) return pinned;
  const prefix = `v${minorOf(KUBERNETES_VERSION)}.`;
  const patches = versions.filter(
    (version) => version.startsWith(prefix) && /^\d+$/.test(version.slice(prefix.length)),
  );
  return patches.sort((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))[0];
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

async function readText(url: string, dispatcher: EnvHttpProxyAgent): Promise<string> {
  const reply = await open(url, dispatcher, AbortSignal.timeout(INDEX_TIMEOUT_MS));
  return reply.text();
}

async function open(url: string, dispatcher: EnvHttpProxyAgent, signal?: AbortSignal, hops = 0) {
  const reply = await request(url, { dispatcher, ...(signal ? { signal } : {}) }).catch((error: unknown) => {
    throw new Error(`${new URL(url).host}: ${reasonOf(error)}`, { cause: error });
  });
  const { location } = reply.headers;
  if (reply.statusCode >= 300 && reply.statusCode < 400 && typeof location === 'string' && hops < 5) {
    await reply.body.dump();
    return open(new URL(location, url).href, dispatcher, signal, hops + 1);
  }
  if (reply.statusCode === 200) return reply.body;
  await reply.body.dump();
  throw new Error(`${new URL(url).host} answered ${reply.statusCode}`);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return message || code || String(error);
}

async function fetchArchive(
  archive: Archive,
  file: string,
  shell: { dispatcher: EnvHttpProxyAgent; log: Log },
): Promise<void> {
  let bytes = 0;
  const hash = createHash('sha512');
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await withProgress(
    shell.log,
    `downloading ${basename(archive.url)}`,
    async () => {
      const body = await open(archive.url, shell.dispatcher);
      await pipeline(Readable.from(body), tap, createWriteStream(file));
    },
    { detail: () => `, ${Math.round(bytes / 1e6)} MB`, everyMs: 5_000 },
  );
  const actual = hash.digest('hex');
  if (actual === archive.sha512) return;
  await rm(file, { force: true });
  throw new Error(
    `${basename(archive.url)} has the SHA-512 sum ${actual.slice(0, 16)}…, not ${archive.sha512.slice(0, 16)}… as listed`,
  );
}

/** Unpacks with the system's tar and lifts the binaries out of the archive's folder. */
async function unpack(file: string, directory: string): Promise<void> {
  const tar = spawnGuarded('tar', ['tar', '-xzf', file, '-C', directory], { output: 'pipe' });
  let words = '';
  tar.child.stderr?.setEncoding('utf8').on('data', (text: string) => (words += text));
  tar.child.stdout?.resume();
  const { code } = await tar.ended;
  if (code !== 0) throw new Error(`tar ended with code ${code}: ${words.trim().split('\n').at(-1) ?? ''}`);
  await rm(file, { force: true });
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const wanted = entry.isFile() && (BINARIES as readonly string[]).includes(entry.name);
    if (wanted && entry.parentPath !== directory)
      await rename(join(entry.parentPath, entry.name), join(directory, entry.name));
  }
}
