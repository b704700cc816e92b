/**
 * The lives of one tortured sidecar: the next process is loaded while the last one lives, so that a death costs hardly
 * any time, and a thousand of them fit into minutes.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FromSidecar, ToSidecar } from './sidecar.ts';

export interface Life {
  /** SIGKILL, at once. */
  kill(): Promise<void>;
  /** Lets it stop by itself. */
  stop(): Promise<void>;
}

export interface Lives {
  begin(port: number): Promise<Life>;
  /** Ends the process that was loaded and never lived. */
  end(): Promise<void>;
}

const ENTRY = fileURLToPath(new URL('sidecar.ts', import.meta.url));

export interface LivesOptions {
  args: readonly string[];
  /** A directory for compiled code: compiling is most of what loading costs. */
  cache: string;
  onMessage(message: FromSidecar): void;
}

export function createLives(options: LivesOptions): Lives {
  let next = load(options);
  return {
    async begin(port) {
      const child = await next;
      next = load(options);
      child.on('message', options.onMessage);
      child.send({ port } satisfies ToSidecar);
      await hears(child, 'port');
      return {
        async kill() {
          child.kill('SIGKILL');
          await exited(child);
        },
        async stop() {
          child.send({ stop: true } satisfies ToSidecar);
          await exited(child);
        },
      };
    },
    async end() {
      const spare = await next;
      spare.kill('SIGKILL');
      await exited(spare);
    },
  };
}

async function load({ args, cache }: LivesOptions): Promise<ChildProcess> {
  const child = fork(ENTRY, args, { execArgv: [], env: { ...process.env, NODE_COMPILE_CACHE: cache } });
  await hears(child, 'loaded');
  return child;
}

async function hears(child: ChildProcess, what: keyof FromSidecar): Promise<void> {
  const heard = new Promise<void>((resolve) => {
    child.on('message', (message: FromSidecar) => {
      if (message[what] !== undefined) resolve();
    });
  });
  await Promise.race([heard, once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error('the sidecar did not start');
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
