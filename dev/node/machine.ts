/**
 * What a node changes on the machine outside its namespaces, and how that is put back: cgroups, and the few kernel settings
 * that the kubelet sets and that no namespace holds.
 */
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CGROUP } from './settings.ts';

const CGROUPS = '/sys/fs/cgroup';
const SETTINGS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'].concat([
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
]);

/** Puts it all back; says what it could not. */
export type Restore = () => Promise<string[]>;

/** Makes the node's cgroups. Left-overs of a node that was killed go first. */
export async function prepareMachine(): Promise<Restore> {
  const roots = await cgroupRoots();
  for (const root of roots) await removeTree(root);
  const before = new Map<string, string>();
  for (const name of SETTINGS) {
    const value = await readFile(`/proc/sys/${name}`, 'utf8').catch(() => undefined);
    if (value !== undefined) before.set(name, value);
  }
  for (const root of roots) {
    await mkdir(root, { recursive: true });
    // A cpuset starts empty in version 1 and must be told its share.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const share = await readFile(join(root, '..', file), 'utf8').catch(() => undefined);
      if (share !== undefined && root.includes('/cpuset/')) await writeFile(join(root, file), share);
    }
  }
  return async () => {
    for (const [name, value] of before) {
      if ((await readFile(`/proc/sys/${name}`, 'utf8')) !== value) await writeFile(`/proc/sys/${name}`, value);
    }
    const left = await Promise.all(roots.map(removeTree));
    return left.flat();
  };
}

/** One in each hierarchy of version 1, or the one of version 2. */
async function cgroupRoots(): Promise<string[]> {
  const unified = await readFile(join(CGROUPS, 'cgroup.controllers'), 'utf8').catch(() => undefined);
  if (unified !== undefined) return [join(CGROUPS, CGROUP)];
  const entries = await readdir(CGROUPS, { withFileTypes: true });
  // Links are second names of hierarchies (cpu -> cpu,cpuacct).
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(CGROUPS, name, CGROUP));
}

/** Deepest first. The kernel takes a moment after the last process of one has ended. */
async function removeTree(root: string): Promise<string[]> {
  for (let tries = 0; tries < 100; tries += 1) {
    const folders = await foldersBelow(root);
    if (folders.length === 0) return [];
    for (const folder of folders) await rmdir(folder).catch(() => {});
    await delay(50);
  }
  return [`cgroup ${root} is still there`];
}

async function foldersBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map(({ name }) => foldersBelow(join(root, name))),
  );
  return [...below.flat(), root];
}
