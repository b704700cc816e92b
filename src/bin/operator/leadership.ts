/** Who may act: the holder of the Lease, or always this process where leader election is off. */
import type { Leadership } from '../../controllers/task/ports.ts';
import { startLease } from '../../kube/lease.ts';
import type { OperatorParts } from './parts.ts';

/** In the metric it is the election that is named, whatever the Lease is called: alerts and dashboards ask for it. */
const ELECTION = 'captcha-operator';

export function startLeadership({ client, config, identity, lifecycle, log, metrics }: OperatorParts): Leadership {
  const leadership = config.leaderElection ? campaign() : alone();
  metrics.gauge('leader_election_master_status', (set) => set({ name: ELECTION }, leadership.isLeader() ? 1 : 0));
  return leadership;

  function campaign(): Leadership {
    const lease = startLease({
      client,
      namespace: config.podNamespace,
      name: config.leaseName,
      identity,
      hooks: { onTrouble: (message) => log.warn('lease cannot be read or written', { trouble: message }) },
    });
    lifecycle.onStop('lease', 6_000, () => lease.release());
    lease.onChange((leading) => log.info(leading ? 'leading' : 'not leading any more', { identity }));
    return lease;
  }
}

function alone(): Leadership {
  return { isLeader: () => true, onChange: () => () => false };
}
