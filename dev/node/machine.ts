/**
 * What a node changes on the machine outside its namespaces: a folder, cgroups, and the few kernel settings that the
 * kubelet sets and that no namespace holds. A process of its own (restore.sh) takes all of it back, also when this one is
 * killed. And whether the machine lets this process make a node at all.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../command.ts';
import { CGROUP } from './settings.ts';

const RESTORE = fileURLToPath(new URL('./restore.sh', import.meta.url));
const PROBE = fileURLToPath(new URL('./probe.sh', import.meta.url));
const CGROUPS = '/sys/fs/cgroup';
const SETTINGS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'].concat([
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
]);
/** As those of a node. */
export const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--uts', '--ipc', '--kill-child'];

/** Puts it all back; says what it could not. */
export type Restore = () => Promise<string[]>;

/** Makes the node's cgroups; `state` is its folder, which goes with them. Throws where another node runs here. */
export async function prepareMachine(state: string): Promise<Restore> {
  const roots = await cgroupRoots();
  for (const root of roots) await removeTree(root);
  const restore = startRestoring([state, ...(await settingsNow()), '--', ...roots]);
  for (const root of roots) {
    await mkdir(root, { recursive: true });
    // A cpuset starts empty in version 1 and must be told its share.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const share = await readFile(join(root, '..', file), 'utf8').catch(() => undefined);
      if (share !== undefined && root.includes('/cpuset/')) await writeFile(join(root, file), share);
    }
  }
  return restore;
}

async function settingsNow(): Promise<string[]> {
  const values: string[] = [];
  for (const name of SETTINGS) {
    const value = await readFile(`/proc/sys/${name}`, 'utf8').catch(() => undefined);
    if (value !== undefined) values.push(`${name}=${value.trim()}`);
  }
  return values;
}

/** In a session of its own: neither Ctrl-C nor the end of this process ends it before its work is done. */
export function startRestoring(args: readonly string[]): Restore {
  const child = spawn(RESTORE, args, { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return async () => {
    child.stdin.end();
    await closed;
    return text.split('\n').filter((line) => line !== '');
  };
}

/** What of a node this machine does not allow, in the words of the kernel; undefined: nothing. `tree`: with a node's tools. */
export async function whyNotAllowed(tree?: string): Promise<string | undefined> {
  const scratch = await mkdtemp(join(tmpdir(), 'captcha-node-probe-'));
  try {
    await run(['unshare', ...NAMESPACES, PROBE, scratch, ...(tree === undefined ? [] : [tree])]);
    for (const root of await cgroupRoots()) await tryCgroup(`${root}-probe`);
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n').at(-1);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function tryCgroup(path: string): Promise<void> {
  await mkdir(path);
  await rmdir(path);
}

/** One in each hierarchy of version 1, or the one of version 2. */
async function cgroupRoots(): Promise<string[]> {
  const unified = await readFile(join(CGROUPS, 'cgroup.controllers'), 'utf8').catch(() => undefined);
  if (unified !== undefined) return [join(CGROUPS, CGROUP)];
  const entries = await readdir(CGROUPS, { withFileTypes: true });
  // Links are second names of hierarchies (cpu -> cpu,cpuacct).
  const hierarchies = entries.filter((entry) => entry.isDirectory());
  if (hierarchies.length === 0) throw new Error(`there are no cgroups in ${CGROUPS}`);
  return hierarchies.map(({ name }) => join(CGROUPS, name, CGROUP));
}

/** Deepest first. The kernel takes a moment after the last process of one has ended. */
async function removeTree(root: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const folders = await foldersBelow(root);
    if (folders.length === 0) return;
    for (const folder of folders) await rmdir(folder).catch(() => {});
    await delay(50);
  }
  throw new Error(`the cgroup ${root} is in use: another node runs on this machine`);
}

async function foldersBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map(({ name }) => foldersBelow(join(root, name))),
  );
  return [...below.flat(), root];
}
