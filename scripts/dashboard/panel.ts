/** What a panel of the dashboard is, and the shapes of query that panels share. */

export type PanelKind = 'timeseries' | 'stat';
export interface Panel {
  title: string;
  /** Shown behind the (i). */
  description: string;
  kind: PanelKind;
  unit: string;
  /** Legend and query. */
  queries: readonly (readonly [legend: string, expr: string])[];
  /** Values from which a stat turns red; 0 stays green. */
  redFrom?: number;
}

export const P = 'captcha_operator_';
export const RATE = '[$__rate_interval]';
/** Metrics that other programs expose too are ours where build_info has the same instance. */
export const OURS = `* on (instance) group_left (process) ${P}build_info`;

export const rate = (by: string, selector: string): string => `sum by (${by}) (rate(${selector}${RATE}))`;
export const quantile = (q: number, by: string, histogram: string): string =>
  `histogram_quantile(${q}, sum by (${by === '' ? 'le' : `le, ${by}`}) (rate(${histogram}_bucket${RATE})))`;
export const largest = (by: string, gauge: string): string => `max by (${by}) (${gauge})`;

export function series(
  title: string,
  unit: string,
  queries: readonly (readonly [legend: string, expr: string])[],
  description: string,
): Panel {
  return { title, unit, queries, description, kind: 'timeseries' };
}

export function stat(
  title: string,
  unit: string,
  expr: string,
  extra: { description: string; redFrom?: number },
): Panel {
  return { title, unit, queries: [['', expr]], kind: 'stat', ...extra };
}
