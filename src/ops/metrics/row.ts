/**
 * What one row of the metric table says, and which series it makes.
 */

import { isReader, type ProcessName, type Readers } from '../config/variable.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';
export type LabelSets = Readonly<Record<string, readonly string[]>>;

export interface MetricRow {
  type: MetricType;
  help: string;
  labels: LabelSets;
  /** Which process exposes it. */
  in: Readers | readonly ProcessName[];
  buckets?: readonly number[];
  /** Which label combinations can occur at all (and are started at zero); default: every one. */
  occurs?: (labels: Readonly<Record<string, string>>, process: ProcessName) => boolean;
  /** Not in section 9 of the contract; the docs say why it is there. */
  beyondContract?: string;
}

export const counter = { type: 'counter' } as const;
export const gauge = { type: 'gauge' } as const;
export const histogram = { type: 'histogram' } as const;
export const none = {} as const;
export const EVERY_REPLICA = 'Every replica reports it: take the maximum over replicas.';

/** Whether a process exposes it. */
export function isIn(row: MetricRow, process: ProcessName): boolean {
  return typeof row.in === 'string' ? isReader(row.in, process) : row.in.includes(process);
}

/** Every combination of label values that can occur in a process; `[{}]` without labels. */
export function combinations(row: MetricRow, process: ProcessName): Record<string, string>[] {
  const all = Object.entries(row.labels).reduce<Record<string, string>[]>(
    (sets, [label, values]) => sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value }))),
    [{}],
  );
  return row.occurs === undefined ? all : all.filter((set) => row.occurs?.(set, process) === true);
}
