/**
 * Builds etcd, kube-apiserver and kubectl with the local Go, from the modules pinned in `modules/go.mod` and `go.sum`.
 * Cold on two cores this takes about five minutes and 700 MB of Go's module cache; Go keeps its own build cache, so an
 * interrupted build continues where it was. Writes only into the folder it is given.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { spawnGuarded } from './guard.ts';
import { withProgress, type Log } from './progress.ts';
import { ETCD_VERSION, GO_VERSION, KUBERNETES_VERSION } from './versions.ts';

const MODULES = fileURLToPath(new URL('./modules', import.meta.url));
const PACKAGES = [
  { binary: 'etcd', version: ETCD_VERSION, path: 'go.etcd.io/etcd/server/v3' },
  { binary: 'kube-apiserver', version: KUBERNETES_VERSION, path: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  { binary: 'kubectl', version: KUBERNETES_VERSION, path: 'k8s.io/kubernetes/cmd/kubectl' },
] as const;

/** Builds the three binaries into `directory` and returns their origin. Throws with Go's last words when it cannot. */
export async function buildFromModules(directory: string, log: Log, env: NodeJS.ProcessEnv): Promise<string> {
  const go = await goVersion(env);
  log(`building etcd ${ETCD_VERSION} and Kubernetes ${KUBERNETES_VERSION} with ${go}; once, about 5 min on 2 cores`);
  for (const { binary, version, path } of PACKAGES) {
    const seen: Seen = { downloaded: 0, compiled: 0 };
    await withProgress(
      log,
      `building ${binary} ${version}`,
      () =>
        runGo(buildArguments(join(directory, binary), path), { env, scratch: directory }, (line) => count(line, seen)),
      { detail: () => describeProgress(seen) },
    );
  }
  return `built from Go modules with ${go}`;
}

async function goVersion(env: NodeJS.ProcessEnv): Promise<string> {
  try {
    return (await runGo(['env', 'GOVERSION'], { env }, () => {})).trim();
  } catch (error) {
    throw new Error(`no usable Go ≥ ${GO_VERSION} on the PATH (${(error as Error).message})`, { cause: error });
  }
}

function buildArguments(output: string, path: string): string[] {
  const [major, minor] = KUBERNETES_VERSION.split('.');
  const stamp = 'k8s.io/component-base/version.git';
  const version = `-X ${stamp}Version=v${KUBERNETES_VERSION} -X ${stamp}Major=${major} -X ${stamp}Minor=${minor}`;
  const flags = ['-v', '-trimpath', '-mod=readonly', '-buildvcs=false', '-ldflags', `-s -w ${version}`];
  return ['build', ...flags, '-o', output, path];
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

/** Runs Go in the pinned module and returns what it printed. A failure carries its last lines. */
async function runGo(
  args: string[],
  place: { env: NodeJS.ProcessEnv; scratch?: string },
  onLine: (line: string) => void,
): Promise<string> {
  const env = { ...place.env, CGO_ENABLED: '0', GOWORK: 'off' };
  const go = spawnGuarded('go', ['go', ...args], { ...place, cwd: MODULES, env, output: 'pipe' });
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
