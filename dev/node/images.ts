/**
 * The images of a node, as archives, without a registry: the project's own Dockerfile through `npm run image` with the
 * buildah of the Debian tree, its base image assembled from that tree and this project's Node where no registry is asked,
 * and an image of one file for each program that is its own container.
 */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withProgress, type Log } from '../control-plane/progress.ts';
import type { DebianTrees } from './debian.ts';
import { run } from '../command.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IN_TREE = fileURLToPath(new URL('./in-tree.sh', import.meta.url));
/** The one that Node 24.21.0 is released with is close enough: it only installs what package-lock.json says. */
const NPM = 'npm@11.21.2';

export interface Workshop {
  trees: DebianTrees;
  /** Where buildah keeps images from one run to the next. */
  storage: string;
  scratch: string;
  log: Log;
}

/** Builds the Dockerfile as it is; returns the archive. Layers that did not change are taken from the last time. */
export async function buildOperatorImage(workshop: Workshop, tag: string): Promise<string> {
  const { scratch, storage, log } = workshop;
  await mkdir(storage, { recursive: true });
  await prepareNpm(scratch);
  const base = await baseName();
  if (!(await hasImage(workshop, base))) await withProgress(log, `assembling ${base}`, () => makeBase(workshop, base));
  const bin = join(scratch, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'buildah'), wrapper(workshop), { mode: 0o755 });
  const archive = join(scratch, 'operator.tar');
  // buildah adds to none.
  await rm(archive, { force: true });
  const command = [process.execPath, join(ROOT, 'scripts/image.ts'), '--engine', 'buildah', '--tag', tag];
  await withProgress(log, `building ${tag}`, () =>
    run(['sh', '-c', 'PATH="$0:$PATH" exec "$@"', bin, ...command, '--archive', archive], { cwd: ROOT }),
  );
  return archive;
}

/** What `npm run image` calls. The build asks no registry, and trusts what this machine's npm trusts. */
function wrapper({ trees, scratch, storage }: Workshop): string {
  const volumes = [`--volume ${scratch}/ca.crt:/run/ca.crt:ro`, `--volume ${scratch}/npmrc:/usr/local/etc/npmrc:ro`];
  const build = `build --pull=never --layers --ulimit nofile=20000:20000 --ulimit nproc=20000:20000 ${volumes.join(' ')}`;
  return `#!/bin/bash
set -eu
args=("$@")
[ "$1" != build ] || { shift; args=(${build} "$@"); }
exec ${IN_TREE} ${trees.node} ${scratch} ${storage} ${ROOT} buildah "\${args[@]}"
`;
}

async function prepareNpm(scratch: string): Promise<void> {
  await copyFile('/etc/ssl/certs/ca-certificates.crt', join(scratch, 'ca.crt'));
  const registry = (await run(['npm', 'config', 'get', 'registry'])).trim();
  await writeFile(join(scratch, 'npmrc'), `registry=${registry}\ncafile=/run/ca.crt\n`);
}

/** The name in the Dockerfile, in full. */
async function baseName(): Promise<string> {
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  const name = /^FROM (node:\S+)$/m.exec(text)?.[1];
  if (name === undefined) throw new Error('the Dockerfile names no base image');
  return `docker.io/library/${name}`;
}

function inTree({ trees, scratch, storage }: Workshop, command: readonly string[]): Promise<string> {
  return run([IN_TREE, trees.node, scratch, storage, ROOT, ...command]);
}

async function hasImage(workshop: Workshop, name: string): Promise<boolean> {
  return inTree(workshop, ['buildah', 'inspect', '--type', 'image', name]).then(
    () => true,
    () => false,
  );
}

/** Debian, Node and npm where the official image has them. */
async function makeBase(workshop: Workshop, name: string): Promise<void> {
  const { trees, scratch } = workshop;
  const tree = join(scratch, 'base');
  const modules = join(tree, 'usr/local/lib/node_modules');
  await run(['cp', '-a', trees.base, tree]);
  await run([
    'sh',
    '-c',
    'cd "$0" && rm -rf usr/share/doc/* usr/share/man/* usr/share/locale/* var/lib/apt/lists/*',
    tree,
  ]);
  await copyFile(join(ROOT, 'node_modules/node/bin/node'), join(tree, 'usr/local/bin/node'));
  await chmod(join(tree, 'usr/local/bin/node'), 0o755);
  await mkdir(join(modules, 'npm'), { recursive: true });
  const [pack = ''] = (await run(['npm', 'pack', '--silent', NPM], { cwd: scratch })).trim().split('\n');
  await run(['tar', '-xzf', join(scratch, pack), '-C', join(modules, 'npm'), '--strip-components=1']);
  for (const command of ['npm', 'npx']) {
    await chmod(join(modules, `npm/bin/${command}-cli.js`), 0o755);
    await symlink(`../lib/node_modules/npm/bin/${command}-cli.js`, join(tree, 'usr/local/bin', command));
  }
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const steps = `c=$(buildah from scratch); buildah copy -q $c ${tree} /; buildah config --env PATH=${path} --cmd node $c;
    buildah commit -q --rm $c ${name}`;
  await inTree(workshop, ['bash', '-ec', steps]);
  await rm(tree, { recursive: true });
}

/** An image of one static program, which is its entry point; returns the archive. */
export async function packProgram(program: string, tag: string, scratch: string): Promise<string> {
  const folder = join(scratch, tag.replaceAll(/\W/g, '-'));
  const [, name = ''] = /([^/:]+):[^:]*$/.exec(tag) ?? [];
  await mkdir(folder, { recursive: true });
  await copyFile(program, join(folder, name));
  await run(['tar', '-cf', 'layer.tar', '--owner=0', '--group=0', name], { cwd: folder });
  const digest = createHash('sha256')
    .update(await readFile(join(folder, 'layer.tar')))
    .digest('hex');
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const config = {
    architecture,
    os: 'linux',
    config: { Entrypoint: [`/${name}`], User: '65532:65532' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }];
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = `${folder}.tar`;
  await run(['tar', '-cf', archive, 'manifest.json', 'config.json', 'layer.tar'], { cwd: folder });
  return archive;
}
