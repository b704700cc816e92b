/**
 * Runs one program to its end and returns what it printed. For short commands; what stays is started with
 * `control-plane/guard.ts`.
 */
import { spawnGuarded } from './control-plane/guard.ts';

export interface RunOptions {
  cwd?: string;
  /** Beside those of this process. */
  env?: Readonly<Record<string, string>>;
}

/** Throws with the last lines when it does not end with 0. It ends with this process, whatever ends this one. */
export async function run(command: readonly string[], { cwd, env = {} }: RunOptions = {}): Promise<string> {
  const [name = ''] = command;
  // `env` and not an environment of ours: only bin/ reads that of the process.
  const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const whole = settings.length === 0 ? command : ['env', ...settings, ...command];
  const { child, ended } = spawnGuarded(name, whole, { output: 'pipe', ...(cwd === undefined ? {} : { cwd }) });
  let [stdout, all] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    all = (all + text).slice(-4_000);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    all = (all + text).slice(-4_000);
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const { code, signal } = await ended;
  await closed;
  if (code === 0) return stdout;
  const tail = all.trim().split('\n').slice(-8).join('\n');
  throw new Error(`${command.slice(0, 4).join(' ')} ended with ${signal ?? `code ${code}`}:\n${tail}`);
}
