/**
 * The shipped alert rules as Prometheus reads them, whole or with shortened durations. Shortening never touches the
 * shipped file: it makes a copy in which every duration (`for`, windows in brackets, offsets) is divided, so that a
 * rule that takes minutes can be seen firing in seconds. Thresholds stay as they are.
 */
import { readFile } from 'node:fs/promises';

import { parse, stringify } from 'yaml';

const SHIPPED = new URL('../../deploy/monitoring/prometheusrule.yaml', import.meta.url);

interface Rule {
  expr: string;
  for?: string;
  [field: string]: unknown;
}
interface RuleFile {
  groups: { name: string; rules: Rule[] }[];
}

/** The `spec` of the PrometheusRule: a plain Prometheus rule file. */
export async function shippedRules(): Promise<string> {
  const { spec } = parse(await readFile(SHIPPED, 'utf8')) as { spec: RuleFile };
  return stringify(spec);
}

/** A copy of a rule file with every duration divided by `factor`: with 60, minutes become seconds. */
export function shortenRules(ruleFile: string, factor: number): string {
  const { groups } = parse(ruleFile) as RuleFile;
  const shorten = (duration: string): string => `${Math.max(1, Math.round(millisecondsOf(duration) / factor))}ms`;
  const rules = groups.map((group) => ({
    ...group,
    rules: group.rules.map((rule) => ({
      ...rule,
      expr: rule.expr.replace(
        /(\[|\boffset )(\d+[smhd])/g,
        (_, before: string, text: string) => before + shorten(text),
      ),
      ...(rule.for === undefined ? {} : { for: shorten(rule.for) }),
    })),
  }));
  return stringify({ groups: rules });
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function millisecondsOf(duration: string): number {
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  const factor = UNIT_MS[unit];
  if (factor === undefined) throw new Error(`not a duration of the shipped rules: ${duration}`);
  return Number(count) * factor;
}
