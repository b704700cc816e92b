/**
 * `npm run demo`: everything on one machine, in about a minute. Ends 0 when every sample reached its expected end,
 * 1 with the reasons when one did not. `-- --keep` leaves all of it running until Ctrl-C and prints what to use
 * kubectl with; `-- --monitoring` starts Prometheus and Alertmanager beside it.
 */
import { scrapeTargets, shippedRules, startMonitoring, type Monitoring } from '../monitoring/index.ts';
import { startDemoWorld, runSamples, type DemoWorld } from '../demo/run.ts';
import { DEMO_NAMESPACE } from '../demo/seed.ts';

const USAGE = `usage: npm run demo -- [--keep] [--monitoring]\n`;
const OPTIONS = ['--keep', '--monitoring'];

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const unknown = args.filter((arg) => !OPTIONS.includes(arg));
if (unknown.length > 0) {
  process.stderr.write(`demo: unknown option ${unknown.join(' ')}\n${USAGE}`);
  process.exit(2);
}

const startedMs = performance.now();
const output = {
  isTTY: process.stdout.isTTY,
  write: (text: string): void => void process.stdout.write(text),
  elapsedMs: () => performance.now() - startedMs,
};
const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupt.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  let world: DemoWorld | undefined;
  let monitoring: Monitoring | undefined;
  try {
    world = await startDemoWorld(output, process.env);
    if (args.includes('--monitoring')) monitoring = await monitor(world);
    return await play(world);
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await monitoring?.stop();
    await world?.stop();
  }
}

/** Prometheus and Alertmanager with the shipped rules, as they are. */
async function monitor(world: DemoWorld): Promise<Monitoring> {
  const targets = scrapeTargets(world.fleet);
  const monitoring = await startMonitoring({ targets, rules: await shippedRules(), path: process.env['PATH'] ?? '' });
  output.write(`Prometheus at ${monitoring.prometheusURL}, Alertmanager at ${monitoring.alertmanagerURL}\n`);
  return monitoring;
}

async function play(world: DemoWorld): Promise<number> {
  const disappointments = await runSamples(world, { output, signal: interrupt.signal });
  if (interrupt.signal.aborted) return 130;
  for (const line of disappointments) process.stderr.write(`demo: ${line}\n`);
  const seconds = Math.round(output.elapsedMs() / 1000);
  if (disappointments.length === 0)
    output.write(`\nevery task reached its expected end, none was paid twice (${seconds} s)\n`);
  if (args.includes('--keep')) await keep(world);
  return disappointments.length === 0 ? 0 : 1;
}

async function keep(world: DemoWorld): Promise<void> {
  const kubectl = world.kubectl ?? 'kubectl';
  output.write(
    [
      '',
      'It all keeps running until Ctrl-C. In another terminal:',
      '',
      `  export KUBECONFIG=${world.controlPlane.adminKubeconfig}`,
      `  alias kubectl=${kubectl}`,
      `  kubectl get ctask,dl -n ${DEMO_NAMESPACE}`,
      `  curl ${world.fleet.operators[0]?.metricsURL}`,
      '',
    ].join('\n'),
  );
  await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
}
