/** The metrics pages of a fleet as scrape targets. */
import type { Fleet } from '../fleet.ts';
import type { ScrapeTarget } from './servers.ts';

export function scrapeTargets({ operators, sidecars }: Pick<Fleet, 'operators' | 'sidecars'>): ScrapeTarget[] {
  return [...operators, ...sidecars].map(({ metricsURL, name }) => ({ address: new URL(metricsURL).host, name }));
}
