/**
 * Writes deploy/monitoring/dashboard.json, the Grafana dashboard, from a short list of rows and panels, by Grafana's own
 * SDK. `npm run generate:dashboard` writes it; a contract test fails when the two differ or a query names an unknown
 * metric, and test/cluster/monitoring asks every query of a real Prometheus.
 *
 * Only data from the last interval of the browser is asked (`$__rate_interval`), nothing of it needs recording rules.
 * Gauges of objects are reported by every replica: `max by (…)`. Every query is narrowed by the variables on top; "All"
 * of them is `.*`, which also takes series without the label (a Prometheus of one cluster seldom has one of that name).
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import * as common from '@grafana/grafana-foundation-sdk/common';
import * as sdk from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

import { METRICS } from '../src/ops/metrics/table.ts';
import { GATEWAY_ROW } from './dashboard/gateway-row.ts';
import { SURROUNDINGS_ROWS } from './dashboard/surroundings-rows.ts';
import type { Panel } from './dashboard/panel.ts';
import { WORK_ROWS } from './dashboard/work-rows.ts';

/** The rows of the dashboard, from what is looked at first to what explains it. */
export const DASHBOARD_ROWS = [...WORK_ROWS, ...SURROUNDINGS_ROWS, GATEWAY_ROW];

const SOURCE = { type: 'prometheus', uid: '${datasource}' };
/** Labels that a scrape adds; each is a variable, and the choice of one narrows the next. */
const SCOPE = ['cluster', 'namespace', 'job'] as const;
const SIZES = { stat: { w: 4, h: 4 }, timeseries: { w: 8, h: 8 } } as const;

/** The query with the variables in the selector of every metric. */
export function scoped(expr: string): string {
  const scope = matchers(SCOPE);
  return expr.replaceAll(/\b([a-z_][a-z_0-9]*)\b(?:\{([^}]*)\})?/g, (whole, name: string, selector?: string) => {
    if (!(name.replace(/_(?:bucket|sum|count)$/, '') in METRICS) && !(name in METRICS)) return whole;
    return `${name}{${selector === undefined ? '' : `${selector},`}${scope}}`;
  });
}

/** The whole file. */
export function dashboardText(): string {
  const dashboard = new sdk.DashboardBuilder('Captcha operator')
    .uid('captcha-operator')
    .description('Tasks, callbacks, polling, dead letters, the provider and the processes of the captcha operator.')
    .tags(['captcha-operator'])
    .editable()
    .tooltip(sdk.DashboardCursorSync.Crosshair)
    .refresh('30s')
    .time({ from: 'now-3h', to: 'now' })
    .timezone('browser')
    .annotation(alerts())
    .withVariable(new sdk.DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
  for (const [index, label] of SCOPE.entries()) dashboard.withVariable(scopeVariable(label, SCOPE.slice(0, index)));
  for (const [title, row] of DASHBOARD_ROWS) {
    dashboard.withRow(new sdk.RowBuilder(title));
    for (const panel of row) dashboard.withPanel(panel.kind === 'stat' ? statOf(panel) : seriesOf(panel));
  }
  return `${JSON.stringify(dashboard.build(), null, 2)}\n`;
}

function matchers(labels: readonly string[]): string {
  return labels.map((label) => `${label}=~"$${label}"`).join(',');
}

function scopeVariable(label: string, before: readonly string[]): sdk.QueryVariableBuilder {
  return new sdk.QueryVariableBuilder(label)
    .label(`${label.charAt(0).toUpperCase()}${label.slice(1)}`)
    .datasource(SOURCE)
    .query(`label_values(captcha_operator_build_info{${matchers(before)}}, ${label})`)
    .refresh(sdk.VariableRefresh.OnTimeRangeChanged)
    .sort(sdk.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ text: 'All', value: '$__all' });
}

function alerts(): sdk.AnnotationQueryBuilder {
  return new sdk.AnnotationQueryBuilder()
    .name('Alerts')
    .enable(true)
    .iconColor('red')
    .datasource(SOURCE)
    .expr('ALERTS{alertname=~"Captcha.*",alertstate="firing"}');
}

function statOf(panel: Panel): stat.PanelBuilder {
  const steps: sdk.Threshold[] = [{ color: 'green', value: null }];
  if (panel.redFrom !== undefined) steps.push({ color: 'red', value: panel.redFrom });
  const builder = new stat.PanelBuilder()
    .title(panel.title)
    .description(panel.description)
    .unit(panel.unit)
    .datasource(SOURCE)
    .span(SIZES.stat.w)
    .height(SIZES.stat.h)
    .thresholds(new sdk.ThresholdsConfigBuilder().mode(sdk.ThresholdsMode.Absolute).steps(steps))
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false))
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.Area);
  for (const target of targetsOf(panel)) builder.withTarget(target.instant());
  return builder;
}

function seriesOf(panel: Panel): timeseries.PanelBuilder {
  const builder = new timeseries.PanelBuilder()
    .title(panel.title)
    .description(panel.description)
    .unit(panel.unit)
    .datasource(SOURCE)
    .span(SIZES.timeseries.w)
    .height(SIZES.timeseries.h)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending),
    );
  for (const target of targetsOf(panel)) builder.withTarget(target.range());
  return builder;
}

function targetsOf(panel: Panel): prometheus.DataqueryBuilder[] {
  return panel.queries.map(([legend, expr], index) =>
    new prometheus.DataqueryBuilder()
      .refId(String.fromCharCode('A'.charCodeAt(0) + index))
      .datasource(SOURCE)
      .expr(scoped(expr))
      .legendFormat(legend),
  );
}

if (import.meta.main) {
  writeFileSync(fileURLToPath(new URL('../deploy/monitoring/dashboard.json', import.meta.url)), dashboardText());
}
