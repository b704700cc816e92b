/**
 * What `kubectl-captcha` and `kubectl_complete-captcha` do with their process: they set the exit code and let it end by
 * itself, so that what was printed arrives in a pipe. Ctrl-C stops waiting and nothing else: the task goes on.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { runCli } from '../cli/index.ts';

const packageFile = new URL('../../package.json', import.meta.url);

export async function runPlugin(argv: readonly string[]): Promise<void> {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  process.exitCode = await runCli({
    argv,
    environment: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stopping.signal,
    readFile: (path) => readFile(path),
    version,
  });
}
