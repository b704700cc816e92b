/** What the files that start the operator hand to each other. */
import type { KubeClient } from '../../kube/client.ts';
import type { ReflectorHooks } from '../../kube/reflector.ts';
import type { OperatorConfig } from '../../ops/config.ts';
import type { Lifecycle } from '../../ops/lifecycle.ts';
import type { Logger } from '../../ops/log.ts';
import type { Metrics } from '../../ops/metrics.ts';

export interface OperatorOptions {
  config: OperatorConfig;
  log: Logger;
  lifecycle: Lifecycle;
  env: NodeJS.ProcessEnv;
}

/** What the parts share. */
export interface OperatorParts extends OperatorOptions {
  metrics: Metrics;
  client: KubeClient;
  /** Unique for each process, also after a restart of the pod: names the holder of the Lease and begins every intent. */
  identity: string;
  watchHooks: ReflectorHooks;
}
