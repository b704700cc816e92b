/**
 * Runs the real kubectl against a local control plane, as a user would. It reads no kubeconfig but the one it is given
 * and keeps its caches in a folder of the test. Used by the tests of manifests, examples and documentation.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { endOf, type Ended } from './child.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** Warnings of the server are on stderr, as `Warning: …`. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<Ended>;

/** `program` may be empty (a control plane without kubectl): then every call fails with the way out. */
export function kubectlFor(program: string, kubeconfig: string, cacheDirectory: string): Kubectl {
  const options = ['--kubeconfig', kubeconfig, '--cache-dir', cacheDirectory, '--request-timeout=60s'];
  return async (args, input) => {
    if (program === '') {
      throw new Error('this control plane came without kubectl; point KUBEBUILDER_ASSETS at a folder that has it');
    }
    return endOf(spawn(program, [...args, ...options], { cwd: ROOT, env: { HOME: cacheDirectory } }), input);
  };
}

/** The output of a command that must succeed; throws with what kubectl said otherwise. */
export async function outputOf(result: Promise<Ended>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`kubectl ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
