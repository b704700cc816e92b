/**
 * Performs the steps of the Dockerfile in clean directories, for machines without a container engine, and lists what the
 * image would hold: `npm run image:contents`. The base image is taken to be this very Node, whose version must be
 * the Dockerfile's. What it cannot show: the base image's own files, and a root that is really read-only.
 * test/cluster/image.test.ts starts the result.
 */
import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDockerfile, type Instruction, type Stage } from './dockerfile.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Image {
  /** The file system of the last stage, without the base image. */
  root: string;
  workdir: string;
  env: Record<string, string>;
  /** ENTRYPOINT and CMD; `node` is this process's own. */
  entrypoint: string[];
  command: string[];
  user: { uid: number; gid: number };
  /** Paths of all files below `root`, with their sizes. */
  files: Map<string, number>;
  remove(): Promise<void>;
}

interface Built {
  root: string;
  workdir: string;
  env: Record<string, string>;
  user: { uid: number; gid: number };
}

type Log = (line: string) => void;

/** Throws when a step fails, with its last words. */
export async function buildImage(log: Log = () => {}): Promise<Image> {
  const stages = parseDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8'));
  const last = stages.at(-1);
  if (last === undefined) throw new Error('the Dockerfile has no stage');
  const scratch = await mkdtemp(join(tmpdir(), 'image-'));
  // Another user than the one who builds starts the result.
  await chmod(scratch, 0o755);
  const context = await contextEntries();
  const built = new Map<string, Built>();
  try {
    for (const [index, stage] of stages.entries()) {
      checkBase(stage);
      built.set(stage.name ?? String(index), await buildStage({ stage, context, built, log, scratch }));
    }
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
  const { root, workdir, env, user } = [...built.values()].at(-1) as Built;
  const { entrypoint, command } = last;
  const remove = (): Promise<void> => rm(scratch, { recursive: true, force: true });
  return { root, workdir, env, user, entrypoint, command, files: await listFiles(root), remove };
}

function checkBase({ image }: Stage): void {
  const version = /^node:([\d.]+)-/.exec(image)?.[1];
  if (version === process.versions.node) return;
  throw new Error(`the image is made from ${image}, this is Node ${process.versions.node}; they must be the same`);
}

/** What .dockerignore lets through: ours ignores everything and then names what is needed. */
async function contextEntries(): Promise<Set<string>> {
  const lines = (await readFile(join(ROOT, '.dockerignore'), 'utf8'))
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  const [first, ...rest] = lines;
  if (first !== '*' || rest.some((line) => !/^![\w.-]+$/.test(line))) {
    throw new Error('.dockerignore must be "*" and then one "!name" for each file or folder that is needed');
  }
  return new Set(rest.map((line) => line.slice(1)));
}

interface StageBuild {
  stage: Stage;
  context: ReadonlySet<string>;
  built: ReadonlyMap<string, Built>;
  log: Log;
  scratch: string;
}

async function buildStage({ stage, context, built, log, scratch }: StageBuild): Promise<Built> {
  const state: Built = {
    root: await mkdtemp(join(scratch, 'stage-')),
    workdir: '/',
    env: {},
    user: { uid: 0, gid: 0 },
  };
  await chmod(state.root, 0o755);
  for (const instruction of stage.instructions) {
    log(`${stage.name ?? 'image'}: ${describe(instruction)}`);
    if (instruction.kind === 'WORKDIR') state.workdir = posix.resolve(state.workdir, instruction.path);
    else if (instruction.kind === 'ENV') state.env[instruction.name] = instruction.value;
    else if (instruction.kind === 'USER') state.user = instruction;
    else if (instruction.kind === 'RUN') await run(instruction.command, state);
    else await copy(instruction, state, { context, built });
    await mkdir(join(state.root, state.workdir), { recursive: true });
  }
  return state;
}

function describe(instruction: Instruction): string {
  const { kind, ...rest } = instruction;
  return `${kind} ${Object.values(rest).flat().filter(Boolean).join(' ')}`;
}

async function copy(
  { from, sources, target }: Extract<Instruction, { kind: 'COPY' }>,
  state: Built,
  { context, built }: Pick<StageBuild, 'context' | 'built'>,
): Promise<void> {
  const origin = from === undefined ? ROOT : built.get(from)?.root;
  if (origin === undefined) throw new Error(`COPY --from=${from}: there is no such stage`);
  for (const source of sources) {
    const name = source.replace(/^\.?\//, '');
    if (from === undefined && !context.has(name.split('/')[0] ?? '')) {
      throw new Error(`COPY ${source}: .dockerignore keeps it out`);
    }
    const into = join(state.root, posix.resolve(state.workdir, target));
    const path = (await goesInto(join(origin, name), target, sources.length)) ? join(into, basename(name)) : into;
    await mkdir(dirname(path), { recursive: true });
    await cp(join(origin, name), path, { recursive: true, verbatimSymlinks: true });
  }
}

/** A folder's contents become the target's; a file goes into a target that is written as a folder, or stands for several. */
async function goesInto(source: string, target: string, count: number): Promise<boolean> {
  const isFolder = (await stat(source)).isDirectory();
  return !isFolder && (target.endsWith('/') || count > 1);
}

/** Steps that build may use the network and the settings of this machine, as they may in a container engine. */
async function run(command: string, state: Built): Promise<void> {
  const child = spawn('sh', ['-c', command], {
    cwd: join(state.root, state.workdir),
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, ...state.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  if (code !== 0) throw new Error(`RUN ${command} ended with ${code}: ${output.slice(-2_000)}`);
}

async function listFiles(root: string): Promise<Map<string, number>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return new Map(files.map((file, index): [string, number] => [file.slice(root.length), sizes[index] ?? 0]));
}

/** One line for each package and each part of ours, largest first. */
export function summarise(files: ReadonlyMap<string, number>): string[] {
  const parts = new Map<string, { count: number; bytes: number }>();
  for (const [file, bytes] of files) {
    const name =
      /^\/app\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? /^\/app\/(?:dist\/)?[^/]+/.exec(file)?.[0] ?? file;
    const part = parts.get(name) ?? { count: 0, bytes: 0 };
    parts.set(name, { count: part.count + 1, bytes: part.bytes + bytes });
  }
  return [...parts]
    .toSorted(([, a], [, b]) => b.bytes - a.bytes)
    .map(
      ([name, { count, bytes }]) =>
        `${(bytes / 1_000).toFixed(0).padStart(8)} kB ${String(count).padStart(6)} files  ${name}`,
    );
}

/** Builds it, prints what it holds, and removes it. */
export async function printContents(): Promise<void> {
  const image = await buildImage((line) => console.error(line));
  const bytes = [...image.files.values()].reduce((sum, size) => sum + size, 0);
  console.log(summarise(image.files).join('\n'));
  console.log(
    `${(bytes / 1_000_000).toFixed(1)} MB in ${image.files.size} files, as ${image.user.uid}:${image.user.gid}`,
  );
  await image.remove();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await printContents();
