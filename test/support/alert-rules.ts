/**
 * Reads what deploy/monitoring ships: the rules as objects and as the file that Prometheus wants, the queries of the
 * dashboard, and the names of the metrics that a PromQL expression uses. For the contract tests of monitoring.
 */
import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

export interface AlertRule {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

const ROOT = new URL('../../', import.meta.url);

interface RuleGroups {
  groups: { name: string; rules: AlertRule[] }[];
}

function ruleGroups(): RuleGroups {
  const text = readFileSync(new URL('deploy/monitoring/prometheusrule.yaml', ROOT), 'utf8');
  return (parse(text) as { spec: RuleGroups }).spec;
}

/** The shipped rules as a plain Prometheus rule file. */
export function ruleFileText(): string {
  return stringify(ruleGroups());
}

export function alertRules(): AlertRule[] {
  return ruleGroups().groups.flatMap((group) => group.rules);
}

const KEYWORDS = new Set(
  (
    'sum max min avg count by without on ignoring group_left group_right and or unless offset bool ' +
    'rate irate increase delta deriv absent time vector clamp_min clamp_max histogram_quantile label_replace ' +
    'max_over_time min_over_time sum_over_time avg_over_time topk scalar round changes resets'
  ).split(' '),
);

/** The metric names in an expression: words that are no function, no keyword, and not inside braces or `by (…)`. */
export function metricNamesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  const words = bare.match(/(?<![\w:])[A-Za-z_:][A-Za-z0-9_:]*/g) ?? [];
  return words.filter((word) => !KEYWORDS.has(word));
}

/** The name in the metric table: histograms are queried by their parts. */
export function baseName(name: string): string {
  return name.replace(/_(?:bucket|sum|count)$/, '');
}
