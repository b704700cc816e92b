/**
 * Runs the real kubectl against a local control plane, as a user would. It reads no kubeconfig but the one it is given
 * and keeps its caches in a folder of the test. Used by the tests of manifests, examples and documentation.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface KubectlResult {
  code: number;
  stdout: string;
  /** Server warnings are here too, as `Warning: …`. */
  stderr: string;
}

export type Kubectl = (args: readonly string[], input?: string) => Promise<KubectlResult>;

/** `program` may be empty (a control plane without kubectl): then every call fails with the way out. */
export function kubectlFor(program: string, kubeconfig: string, cacheDirectory: string): Kubectl {
  return (args, input = '') =>
    new Promise((resolve, reject) => {
      if (program === '') {
        reject(new Error('this control plane came without kubectl; point KUBEBUILDER_ASSETS at a folder that has it'));
        return;
      }
      const options = ['--kubeconfig', kubeconfig, '--cache-dir', cacheDirectory, '--request-timeout=60s'];
      const child = spawn(program, [...args, ...options], {
        cwd: ROOT,
        env: { HOME: cacheDirectory },
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
      child.stdin.end(input);
    });
}

/** The output of a command that must succeed; throws with what kubectl said otherwise. */
export async function outputOf(result: Promise<KubectlResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`kubectl ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
