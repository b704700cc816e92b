/**
 * One of our processes as a child: starts `src/bin/<name>` (or its built twin) or the simulator, collects its JSON log
 * lines, waits for a line, kills it with any signal and starts it again. The demo, the benchmarks and the cluster tests
 * all start the operator and the sidecar through this file, so what they show is what a pod would do.
 *
 * It refuses to outlive its parent: children are killed when the parent exits.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A parsed log line; `msg` is the constant message. Lines that are not JSON come as `{ msg: <text>, raw: true }`. */
export interface LogLine {
  msg: string;
  level?: string | number;
  [field: string]: unknown;
}

export type Entry = 'operator' | 'callback' | 'gateway' | 'simulator';

export interface ChildOptions {
  entry: Entry;
  /** The whole environment: nothing is inherited by accident. */
  env: Record<string, string>;
  /** Runs what `npm run build` made. Default: the source. */
  built?: boolean;
  /** Called for each log line, as it comes. */
  onLine?: (line: LogLine) => void;
  /** How many lines are kept for `lines()`. */
  keepLines?: number;
}

export interface Child {
  readonly pid: number;
  /** The newest lines, oldest first. */
  lines(): readonly LogLine[];
  /** Resolves with the first line, past or future, that matches; rejects when the process ends or time is up. */
  waitForLine(reason: string, matches: (line: LogLine) => boolean, boundMs?: number): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, after `graceMs` SIGKILL; resolves with the exit code (or the signal's name). */
  stop(graceMs?: number): Promise<number | string>;
  readonly exited: Promise<number | string>;
}

/**
 * How the image runs Node (a contract test keeps the Dockerfile equal). What a request leaves behind dies young, so
 * V8's default of a large nursery only costs memory: 165 instead of 300 MB after a drain, for the same CPU.
 * The one WebAssembly here is undici's parser, one function of 50 KB: V8's optimizing compiler takes 20 MB to make it no
 * faster than its baseline does (27 µs a request with either).
 */
export const IMAGE_FLAGS = ['--max-semi-space-size=8', '--liftoff-only'] as const;
/**
 * What the gateway adds to them, in `args` of its Deployment. A request of it is a few lookups: what V8's middle compiler
 * saves is not worth the memory that it leaves behind, and the heap may be collected before it has doubled. 89 instead of
 * 129 MB with a thousand tasks open, for 0.4 instead of 0.3 ms of CPU a poll.
 */
export const GATEWAY_FLAGS = ['--max-semi-space-size=2', '--no-maglev', '--optimize-for-size'] as const;
/** glibc would keep an arena of freed memory for each of Node's threads: 10 MB of both processes under load. */
export const IMAGE_ENV = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2' } as const;

/**
 * Where the source is run as it is, Node takes the types out and compiles at each start, which is most of a start: it
 * keeps what it made here, by the content of the files.
 */
const SOURCE_ENV = { NODE_COMPILE_CACHE: join(tmpdir(), 'captcha-operator-compile-cache') };

const running = new Set<ChildProcess>();
let guarded = false;

function guardParentExit(): void {
  if (guarded) return;
  guarded = true;
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL');
  });
}

/** The path of an entry: its source, or, as an image runs it, in `dist/`. The simulator ships nothing. */
export function entryPath(entry: Entry, built = false): string {
  const shipped = built ? `../dist/bin/${entry}.js` : `../src/bin/${entry}.ts`;
  return fileURLToPath(new URL(entry === 'simulator' ? './bin/simulator.ts' : shipped, import.meta.url));
}

export function startChild(options: ChildOptions): Child {
  guardParentExit();
  const kept: LogLine[] = [];
  const watchers = new Set<(line: LogLine | undefined) => void>();
  const flags = options.entry === 'gateway' ? [...IMAGE_FLAGS, ...GATEWAY_FLAGS] : IMAGE_FLAGS;
  const process_ = spawn(process.execPath, [...flags, entryPath(options.entry, options.built)], {
    env: { ...IMAGE_ENV, ...(options.built === true ? {} : SOURCE_ENV), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(process_);
  const take = (text: string): void => {
    const line = parseLine(text);
    kept.push(line);
    if (kept.length > (options.keepLines ?? 20_000)) kept.shift();
    options.onLine?.(line);
    for (const watcher of watchers) watcher(line);
  };
  for (const stream of [process_.stdout, process_.stderr]) createInterface({ input: stream }).on('line', take);
  const exited = new Promise<number | string>((resolve) => {
    process_.once('close', (code, signal) => {
      running.delete(process_);
      resolve(code ?? signal ?? 'unknown');
      for (const watcher of watchers) watcher(undefined);
    });
  });
  return {
    pid: process_.pid ?? -1,
    exited,
    lines: () => kept,
    kill: (signal) => void process_.kill(signal),
    stop: (graceMs = 40_000) => stopChild(process_, exited, graceMs),
    waitForLine: (reason, matches, boundMs = 30_000) =>
      waitForLine({ kept, watchers, name: options.entry }, reason, matches, boundMs),
  };
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'msg' in value) return value as LogLine;
  } catch {
    // Not one of ours: a crash, or a warning of Node.
  }
  return { msg: text, raw: true };
}

async function stopChild(
  child: ChildProcess,
  exited: Promise<number | string>,
  graceMs: number,
): Promise<number | string> {
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  const code = await exited;
  clearTimeout(killer);
  return code;
}

interface Lines {
  kept: readonly LogLine[];
  watchers: Set<(line: LogLine | undefined) => void>;
  name: string;
}

function waitForLine(
  lines: Lines,
  reason: string,
  matches: (line: LogLine) => boolean,
  boundMs: number,
): Promise<LogLine> {
  const past = lines.kept.find(matches);
  if (past !== undefined) return Promise.resolve(past);
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      finish();
      const tail = lines.kept.slice(-15).map((line) => JSON.stringify(line));
      reject(new Error(`${lines.name}: waited for ${reason}, but ${why}. Its last lines:\n${tail.join('\n')}`));
    };
    const timer = setTimeout(() => fail(`nothing came within ${boundMs} ms`), boundMs);
    const watcher = (line: LogLine | undefined): void => {
      if (line === undefined) fail('the process ended');
      else if (matches(line)) {
        finish();
        resolve(line);
      }
    };
    const finish = (): void => {
      clearTimeout(timer);
      lines.watchers.delete(watcher);
    };
    lines.watchers.add(watcher);
  });
}
