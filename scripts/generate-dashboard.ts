/**
 * Writes deploy/monitoring/dashboard.json, the Grafana dashboard, from a short list of rows and panels, because the
 * JSON of Grafana hides a wrong query well. `node scripts/generate-dashboard.ts` writes it; a contract test fails when
 * the two differ or a query names an unknown metric, and test/cluster/monitoring asks every query of a real Prometheus.
 *
 * Only data from the last interval of the browser is asked (`$__rate_interval`), nothing of it needs recording rules.
 * Gauges of objects are reported by every replica: `max by (…)`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { SURROUNDINGS_ROWS } from './dashboard/surroundings-rows.ts';
import { GATEWAY_ROW } from './dashboard/gateway-row.ts';
import type { Panel, PanelKind } from './dashboard/panel.ts';
import { WORK_ROWS } from './dashboard/work-rows.ts';

/** The rows of the dashboard, from what is looked at first to what explains it. */
export const DASHBOARD_ROWS = [...WORK_ROWS, ...SURROUNDINGS_ROWS, GATEWAY_ROW];

/** The whole file. */
export function dashboardText(): string {
  const dashboard = {
    uid: 'captcha-operator',
    title: 'Captcha operator',
    description: 'Tasks, callbacks, polling, dead letters, the provider and the processes of the captcha operator.',
    tags: ['captcha-operator'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    templating: {
      list: [{ name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', hide: 0 }],
    },
    annotations: {
      list: [
        {
          name: 'Alerts',
          enable: true,
          iconColor: 'red',
          datasource: SOURCE,
          expr: 'ALERTS{alertname=~"Captcha.*",alertstate="firing"}',
          titleFormat: '{{alertname}}',
        },
      ],
    },
    panels: placed(),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

const SOURCE = { type: 'prometheus', uid: '${datasource}' };
const WIDTH = 24;
const SIZES: Readonly<Record<PanelKind, { w: number; h: number }>> = {
  stat: { w: 4, h: 4 },
  timeseries: { w: 8, h: 8 },
};

/** Panels from left to right, a new line where the next one does not fit or is of another kind. */
function placed(): object[] {
  const panels: object[] = [];
  let y = 0;
  let id = 1;
  for (const [title, row] of DASHBOARD_ROWS) {
    panels.push({ id: id++, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: WIDTH, h: 1 } });
    y += 1;
    let x = 0;
    let previous: PanelKind | undefined;
    for (const panel of row) {
      const { w, h } = SIZES[panel.kind];
      if (previous !== undefined && (x + w > WIDTH || panel.kind !== previous)) {
        x = 0;
        y += SIZES[previous].h;
      }
      panels.push(panelJSON(panel, id++, { x, y, w, h }));
      x += w;
      previous = panel.kind;
    }
    y += previous === undefined ? 0 : SIZES[previous].h;
  }
  return panels;
}

function panelJSON(panel: Panel, id: number, gridPos: object): object {
  const targets = panel.queries.map(([legend, expr], index) => ({
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    datasource: SOURCE,
    expr,
    legendFormat: legend,
    range: panel.kind === 'timeseries',
    instant: panel.kind === 'stat',
  }));
  const steps = [
    { color: 'green', value: null },
    ...(panel.redFrom === undefined ? [] : [{ color: 'red', value: panel.redFrom }]),
  ];
  return {
    id,
    type: panel.kind,
    title: panel.title,
    description: panel.description,
    datasource: SOURCE,
    gridPos,
    targets,
    fieldConfig: {
      defaults: { unit: panel.unit, thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    options:
      panel.kind === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
            colorMode: 'value',
            graphMode: 'area',
          }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  };
}

if (import.meta.main) {
  writeFileSync(fileURLToPath(new URL('../deploy/monitoring/dashboard.json', import.meta.url)), dashboardText());
}
