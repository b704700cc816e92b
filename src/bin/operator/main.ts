/**
 * The operator as a process: reads its configuration, campaigns for the Lease, runs the task controller and the
 * dead-letter controller until SIGTERM, then records the replies of calls already sent, gives the Lease back and ends
 * with 0. Wrong configuration ends it with 2.
 */
import { describeConfig, parseOperatorConfig } from '../../ops/config.ts';
import { configFaultText, EXIT_CONFIG, runProcess } from '../../ops/lifecycle.ts';
import { createLogger } from '../../ops/log.ts';
import { startOperator } from './start.ts';
import { readSurroundings } from './surroundings.ts';
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
