/** Monitoring beside local processes: what the demo and the tests use of this folder. */
export { scrapeTargets } from './fleet-targets.ts';
export { shippedRules, shortenRules } from './rules.ts';
export { startMonitoring, type Monitoring, type MonitoringOptions, type Sample, type ScrapeTarget } from './servers.ts';
