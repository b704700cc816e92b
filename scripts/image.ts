/**
 * Builds the container image with the engine that is there, `npm run image`: docker, else podman, else buildah, the first
 * that answers. Without one, it performs the same steps in a folder (image-contents.ts), which shows what the image would
 * hold and makes none.
 *
 *   npm run image -- [--tag REF] [--platform linux/amd64,linux/arm64] [--push] [--archive FILE] [--engine NAME]
 *
 * Loads nothing into a cluster: docs/installation.md says how.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export const ENGINES = ['docker', 'podman', 'buildah'] as const;
export type Engine = (typeof ENGINES)[number];

export interface ImageOptions {
  tag: string;
  /** None: the machine's own. */
  platforms: string[];
  push: boolean;
  /** A file that `kind`, `k3s` and `minikube` can import. */
  archive: string | undefined;
}

/** The commands that do it, one after another. Several platforms are one image only in a registry, so they need `push`. */
export function commandsFor(engine: Engine, { tag, platforms, push, archive }: ImageOptions): string[][] {
  const platform = platforms.length === 0 ? [] : ['--platform', platforms.join(',')];
  const save = archive === undefined ? [] : [saveCommand(engine, tag, archive)];
  if (platforms.length < 2) {
    return [[engine, 'build', ...platform, '--tag', tag, '.'], ...save, ...(push ? [[engine, 'push', tag]] : [])];
  }
  if (engine === 'docker') return [['docker', 'buildx', 'build', ...platform, '--tag', tag, '--push', '.']];
  const pushAll = [engine, 'manifest', 'push', '--all', tag, `docker://${tag}`];
  return [[engine, 'build', ...platform, '--manifest', tag, '.'], pushAll];
}

function saveCommand(engine: Engine, tag: string, archive: string): string[] {
  if (engine === 'docker') return ['docker', 'save', '--output', archive, tag];
  if (engine === 'podman') return ['podman', 'save', '--format', 'docker-archive', '--output', archive, tag];
  return ['buildah', 'push', tag, `docker-archive:${archive}:${tag}`];
}

/** The faults of what was asked for, in words. */
export function faultsOf({ tag, platforms, push, archive }: ImageOptions): string[] {
  const faults: string[] = [];
  if (/[A-Z]/.test(tag.replace(/:[^/]*$/, ''))) faults.push(`${tag}: an image's name has no capital letters`);
  if (push && tag.startsWith('docker.io/library/')) faults.push('--push needs --tag with your registry in it');
  if (platforms.length > 1 && !push) faults.push('several platforms are one image only in a registry: add --push');
  if (platforms.length > 1 && archive !== undefined) faults.push('an archive holds one platform');
  return faults;
}

function readOptions(argv: string[]): ImageOptions & { engine: string | undefined } {
  const { values } = parseArgs({
    args: argv,
    options: {
      tag: { type: 'string' },
      platform: { type: 'string' },
      push: { type: 'boolean', default: false },
      archive: { type: 'string' },
      engine: { type: 'string' },
    },
  });
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  // Written in full: what clusters make of the name in the manifests. Podman would put `localhost/` before a short one.
  const tag = values.tag ?? `docker.io/library/captcha-operator:${version}`;
  const { push, archive, engine } = values;
  return { tag, platforms: values.platform?.split(',') ?? [], push, archive, engine };
}

/** A docker without its daemon is there and cannot build, so each is asked. */
function findEngine(wanted: string | undefined): Engine | undefined {
  const candidates = wanted === undefined ? ENGINES : ENGINES.filter((engine) => engine === wanted);
  return candidates.find((engine) => spawnSync(engine, ['info'], { stdio: 'ignore' }).status === 0);
}

function run(command: string[]): number {
  console.error(`$ ${command.join(' ')}`);
  const [program = '', ...args] = command;
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
}

async function main(argv: string[]): Promise<number> {
  const { engine: wanted, ...options } = readOptions(argv);
  const faults = faultsOf(options);
  if (faults.length > 0) {
    for (const fault of faults) console.error(fault);
    return 2;
  }
  const engine = findEngine(wanted);
  if (engine === undefined) {
    console.error(`no ${wanted ?? ENGINES.join(', ')} that answers; this is what the image would hold`);
    const { printContents } = await import('./image-contents.ts');
    await printContents();
    return options.push || options.archive !== undefined || wanted !== undefined ? 1 : 0;
  }
  for (const command of commandsFor(engine, options)) {
    const code = run(command);
    if (code !== 0) return code;
  }
  console.error(`${options.tag}: built with ${engine}. docs/installation.md says how a cluster gets it.`);
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
