/**
 * What a command has while it runs: the line it was given, the cluster, and where its words go. Solutions go to stdout,
 * words for people to stderr. Exit codes are here, each once.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { Cluster } from '../client/open.ts';
import type { Refused } from '../client/types.ts';
import type { Values } from './task-spec.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3, timedOut: 4, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a process gives. */
export interface Surroundings {
  argv: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** Each takes whole lines, or a solution and its line end. */
  stdout: { write(text: string): unknown; isTTY?: boolean };
  stderr: { write(text: string): unknown };
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  readFile(path: string): Promise<Buffer>;
  version: string;
}

export interface Session extends Surroundings {
  args: readonly string[];
  values: Values;
  cluster: Cluster;
  namespace: string;
  isJSON: boolean;
}

export function say({ stderr }: Pick<Surroundings, 'stderr'>, text: string): void {
  stderr.write(`${text}\n`);
}

export function print({ stdout }: Pick<Surroundings, 'stdout'>, text: string): void {
  stdout.write(`${text}\n`);
}

export function printJSON(session: Pick<Surroundings, 'stdout'>, value: unknown): void {
  print(session, JSON.stringify(value, null, 2));
}

export function refusal({ status, reason, message }: Pick<Refused, 'status' | 'reason' | 'message'>): string {
  return `${reason}${status === 0 ? '' : ` (${status})`}${message === '' ? '' : `: ${message}`}`;
}

/** The condition that sums a task up; before the operator saw the task there is none. */
export function solvedOf(task: CaptchaTask): { reason: string; message: string } {
  const condition = task.status?.conditions?.find(({ type }) => type === 'Solved');
  return condition ?? { reason: '', message: '' };
}

/** As kubectl writes ages. */
export function ageOf(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** Columns as kubectl sets them. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
