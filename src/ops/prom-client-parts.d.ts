/**
 * The parts of prom-client that are used, without the package's entry, which loads cluster mode, a push gateway and
 * default metrics as well: 2 MB of memory in each process for nothing we use. prom-client has no `exports` map and its version is
 * pinned. For `metrics.ts`.
 */
declare module 'prom-client/lib/counter.js' {
  import { Counter } from 'prom-client';
  export = Counter;
}
declare module 'prom-client/lib/gauge.js' {
  import { Gauge } from 'prom-client';
  export = Gauge;
}
declare module 'prom-client/lib/histogram.js' {
  import { Histogram } from 'prom-client';
  export = Histogram;
}
declare module 'prom-client/lib/registry.js' {
  import { Registry } from 'prom-client';
  export = Registry;
}
