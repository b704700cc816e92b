/**
 * Starts a child process that cannot outlive this one. Ctrl-C, a crash and even SIGKILL of the parent leave nothing
 * behind: a shell sits in front of the program, starts a watcher that reads from a pipe held by the parent, and then
 * becomes the program by `exec` (so the pid is the program's own). When the parent is gone the pipe ends, and the
 * watcher kills the program's process group and removes its scratch directory.
 *
 * Installs no signal handlers and never exits the process: that is for `bin/`.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';

// A line on fd 3 means "the program ended while the parent lived": nothing to do. End of file means the parent died.
// `$$` is the shell's pid also inside the parentheses, and the program's pid after exec. The watcher is a member of
// the group that it kills last, so the group's number cannot have gone to somebody else meanwhile.
const GUARD = `
scratch=$1
shift
(
  if read -r _ <&3; then exit 0; fi
  kill -9 $$
  if [ -n "$scratch" ]; then sleep 1; rm -rf -- "$scratch"; fi
  kill -9 -- -$$
) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;

export interface GuardedOptions {
  /** Default: that of this process. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Where stdout and stderr go: a file descriptor, or `pipe` to read them. */
  output: number | 'pipe';
  /** A directory to remove when the parent dies without having done so. */
  scratch?: string;
}

export interface GuardedProcess {
  name: string;
  pid: number;
  child: ChildProcess;
  /** Resolves when the process has ended; never rejects. A program that cannot be started ends with code 126 or 127. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  running(): boolean;
  /** Signals the process and what it started. No error when it is gone already. */
  kill(signal: NodeJS.Signals): void;
}

/** Starts `[program, ...args]` in a process group of its own. Throws only when not even `/bin/sh` can be started. */
export function spawnGuarded(name: string, command: readonly string[], options: GuardedOptions): GuardedProcess {
  const stdio: StdioOptions = ['ignore', options.output, options.output, 'pipe'];
  const child = spawn('/bin/sh', ['-c', GUARD, name, options.scratch ?? '', ...command], {
    stdio,
    detached: true,
    cwd: options.cwd,
    env: options.env,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start /bin/sh for ${name}`);
  let running = true;
  const lifeline = child.stdio[3] as NodeJS.WritableStream;
  lifeline.on('error', () => {});
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => {
      running = false;
      lifeline.end('\n');
      resolve({ code, signal });
    });
  });
  const kill = (signal: NodeJS.Signals): void => {
    if (!running) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It ended between the check and the signal.
    }
  };
  return { name, pid, child, ended, running: () => running, kill };
}
