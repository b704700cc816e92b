/**
 * Runs `kubectl captcha` in this process against a scripted API server, as its `bin` would: its own kubeconfig, and what
 * it prints on each stream apart.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '../../src/cli/index.ts';
import { TEST_CERTIFICATE } from './scripted-api.ts';

export interface CliRun {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  signal?: AbortSignal;
  isTTY?: boolean;
  files?: Readonly<Record<string, string>>;
  /** Told of everything that is printed, as it comes. */
  onText?: (text: string) => void;
}

/** A kubeconfig for a scripted server, with its context in the namespace `shop`. */
export async function writeKubeconfig(directory: string, server: string): Promise<string> {
  const path = join(directory, 'kubeconfig');
  const ca = Buffer.from(TEST_CERTIFICATE).toString('base64');
  const config = {
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': ca } }],
    users: [{ name: 'test', user: { token: 'a-token' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'shop' } }],
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

export async function cli(kubeconfig: string, argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const { files = {}, isTTY = false, onText, signal = new AbortController().signal } = options;
  let [stdout, stderr] = ['', ''];
  const code = await runCli({
    argv,
    environment: { KUBECONFIG: kubeconfig },
    stdout: {
      isTTY,
      write: (text) => {
        stdout += text;
        onText?.(text);
      },
    },
    stderr: {
      write: (text) => {
        stderr += text;
        onText?.(text);
      },
    },
    signal,
    readFile: async (path) => {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error('no file'), { code: 'ENOENT' });
      return Buffer.from(content);
    },
    version: '0.0.0',
  });
  return { code, stdout, stderr };
}
