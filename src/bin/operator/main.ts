/**
 * The operator as a process: reads its configuration, campaigns for the Lease, runs the task controller and the
 * dead-letter controller until SIGTERM, then records the replies of calls already sent, gives the Lease back and ends
 * with 0. Wrong configuration ends it with 2.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { describeConfig, parseOperatorConfig, type Surroundings } from '../../ops/config.ts';
import { configFaultText, EXIT_CONFIG, runProcess } from '../../ops/lifecycle.ts';
import { createLogger } from '../../ops/log.ts';
import { startOperator } from './start.ts';
import { VERSION } from '../wiring.ts';

/** Resolves when everything is started. `handOver` ends the handling of early signals. */
export async function runOperator(handOver: () => void): Promise<void> {
  const parsed = parseOperatorConfig(process.env, await readSurroundings());
  if (!parsed.ok) {
    process.stderr.write(configFaultText('operator', parsed.faults));
    process.exit(EXIT_CONFIG);
  }
  const { config, warnings } = parsed;
  const log = createLogger({ level: config.logLevel, component: 'operator' });
  log.info('starting', { version: VERSION, config: describeConfig(config) });
  for (const warning of warnings) log.warn('configuration', { warning });

  const running = runProcess({ logger: log, source: process, exit: (code) => process.exit(code) }, (lifecycle) =>
    startOperator({ config, log, lifecycle, env: process.env }),
  );
  handOver();
  await running;
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** What the machine knows where the environment is silent: the pod's namespace and the host's name. */
async function readSurroundings(): Promise<Surroundings> {
  const namespace = await readFile(NAMESPACE_FILE, 'utf8').catch(() => '');
  return { serviceAccountNamespace: namespace.trim() || undefined, hostname: hostname() };
}
