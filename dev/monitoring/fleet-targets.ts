/** The metrics pages of a fleet as scrape targets. */
import type { Fleet } from '../fleet.ts';
import type { ScrapeTarget } from './servers.ts';

export function scrapeTargets(fleet: Pick<Fleet, 'operators' | 'sidecars' | 'gateways'>): ScrapeTarget[] {
  const members = [...fleet.operators, ...fleet.sidecars, ...fleet.gateways];
  return members.map(({ metricsURL, name }) => ({ address: new URL(metricsURL).host, name }));
}
