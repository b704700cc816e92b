/**
 * Builds programs with the local Go from modules pinned in a `go.mod` and `go.sum`: etcd, kube-apiserver and kubectl from
 * those in `modules/`, and what else development needs. Cold on two cores the control plane takes about five minutes and
 * 700 MB of Go's module cache; Go keeps its own build cache, so an interrupted build continues where it was. Writes only
 * into the folder it is given.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { spawnGuarded } from './guard.ts';
import { withProgress, type Log } from './progress.ts';
import { ETCD_VERSION, GO_VERSION, KUBERNETES_VERSION } from './versions.ts';

/** One program: the file it becomes, and the package of a module that `modules` (a folder with go.mod) pins. */
export interface Program {
  binary: string;
  version: string;
  path: string;
  modules: string;
  /** Variables that the linker sets. */
  stamps?: Readonly<Record<string, string>>;
  /** Build tags. */
  tags?: readonly string[];
}

const MODULES = fileURLToPath(new URL('./modules', import.meta.url));
const [MAJOR = '', MINOR = ''] = KUBERNETES_VERSION.split('.');
const STAMP = 'k8s.io/component-base/version.git';
const stamps = { [`${STAMP}Version`]: `v${KUBERNETES_VERSION}`, [`${STAMP}Major`]: MAJOR, [`${STAMP}Minor`]: MINOR };
const PROGRAMS: readonly Program[] = [
  { binary: 'etcd', version: ETCD_VERSION, path: 'go.etcd.io/etcd/server/v3' },
  { binary: 'kube-apiserver', version: KUBERNETES_VERSION, path: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  { binary: 'kubectl', version: KUBERNETES_VERSION, path: 'k8s.io/kubernetes/cmd/kubectl' },
].map((program) => ({ ...program, modules: MODULES, stamps }));

/** Builds the three binaries into `directory` and returns their origin. Throws with Go's last words when it cannot. */
export async function buildFromModules(directory: string, log: Log, env: NodeJS.ProcessEnv): Promise<string> {
  log(
    `building etcd ${ETCD_VERSION} and Kubernetes ${KUBERNETES_VERSION} from their modules; once, about 5 min on 2 cores`,
  );
  return buildPrograms(PROGRAMS, { directory, log, env });
}

export interface BuildPlace {
  directory: string;
  log: Log;
  env: NodeJS.ProcessEnv;
}

/** Builds each program into `directory` and returns their origin. Throws with Go's last words when it cannot. */
export async function buildPrograms(
  programs: readonly Program[],
  { directory, log, env }: BuildPlace,
): Promise<string> {
  const go = await goVersion(env);
  for (const program of programs) {
    const seen: Seen = { downloaded: 0, compiled: 0 };
    const place = { env, cwd: program.modules, scratch: directory };
    await withProgress(
      log,
      `building ${program.binary} ${program.version} with ${go}`,
      () => runGo(buildArguments(join(directory, program.binary), program), place, (line) => count(line, seen)),
      { detail: () => describeProgress(seen) },
    );
  }
  return `built from Go modules with ${go}`;
}

async function goVersion(env: NodeJS.ProcessEnv): Promise<string> {
  try {
    return (await runGo(['env', 'GOVERSION'], { env, cwd: MODULES }, () => {})).trim();
  } catch (error) {
    throw new Error(`no usable Go ≥ ${GO_VERSION} on the PATH (${(error as Error).message})`, { cause: error });
  }
}

function buildArguments(output: string, { path, stamps = {}, tags = [] }: Program): string[] {
  const link = ['-s', '-w', ...Object.entries(stamps).map(([name, value]) => `-X ${name}=${value}`)].join(' ');
  const flags = ['-v', '-trimpath', '-mod=readonly', '-buildvcs=false', '-ldflags', link];
  return ['build', ...flags, ...(tags.length === 0 ? [] : ['-tags', tags.join(',')]), '-o', output, path];
}

interface Seen {
  downloaded: number;
  compiled: number;
}

function describeProgress({ downloaded, compiled }: Seen): string {
  return downloaded + compiled === 0 ? '' : `, ${downloaded} modules downloaded, ${compiled} packages compiled`;
}

function count(line: string, seen: Seen): void {
  if (line.startsWith('go: downloading')) seen.downloaded += 1;
  else if (/^[a-z][\w./-]*$/.test(line)) seen.compiled += 1;
}

/** Runs Go in a pinned module and returns what it printed. A failure carries its last lines. */
async function runGo(
  args: string[],
  place: { env: NodeJS.ProcessEnv; cwd: string; scratch?: string },
  onLine: (line: string) => void,
): Promise<string> {
  const env = { ...place.env, CGO_ENABLED: '0', GOWORK: 'off' };
  const go = spawnGuarded('go', ['go', ...args], { ...place, env, output: 'pipe' });
  let output = '';
  const take = (text: string): void => {
    output = (output + text).slice(-20_000);
    for (const line of text.split('\n')) onLine(line);
  };
  go.child.stdout?.setEncoding('utf8').on('data', take);
  go.child.stderr?.setEncoding('utf8').on('data', take);
  const { code, signal } = await go.ended;
  if (code === 0) return output;
  const tail = output.trim().split('\n').slice(-5).join('; ');
  throw new Error(`go ${args[0]} ended with ${signal ?? `code ${code}`}: ${tail}`);
}
