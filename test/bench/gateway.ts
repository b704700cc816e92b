/**
 * `npm run bench -- gateway`: what polling costs. 1,000 open tasks, made through the gateway, are polled every 5 s by 200
 * clients that open a connection for every poll, as the libraries do. Open loop: each poll has its instant, and its
 * latency counts from there, also where the machine let the client send it late. No operator runs: the tasks stay open, and the cores are the gateway's and the clients'.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { GATEWAY, installGateway } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { quantile } from './open-loop.ts';
import { scrape, total } from './scrape.ts';
import { createBenchNamespace } from './seed-tasks.ts';
import { inWorld, printRows, say, type BenchWorld } from './world.ts';

const NAMESPACE = 'gateway';
const KEY = 'be4cbe4cbe4cbe4cbe4cbe4cbe4cbe4c';
const EVERY_MS = 5_000;
/** Submissions at once while the tasks are made. */
const AT_ONCE = 16;

export interface GatewayBenchOptions {
  tasks: number;
  clients: number;
  seconds: number;
}

export async function benchGateway(options: GatewayBenchOptions): Promise<boolean> {
  return inWorld(1_000, async (world) => {
    const fleet = await startGatewayAlone(world);
    try {
      const ids = await submitAll(fleet.gatewayURL, options.tasks);
      say(`gateway: ${ids.length} tasks are open`);
      // The first polls run code for the first time, in any runtime.
      await pollAll(fleet.gatewayURL, ids, { ...options, seconds: 5 });
      const before = await figures(fleet);
      const polled = await pollAll(fleet.gatewayURL, ids, options);
      const after = await figures(fleet);
      const calls = (after.calls - before.calls) / polled.latencies.length;
      const title = `gateway: ${ids.length} open tasks polled every 5 s by ${options.clients} clients, ${polled.latencies.length} polls`;
      printRows(title, [
        ['API calls per poll', calls.toFixed(4), '≤ 0.01'],
        ['poll p50 (ms)', quantile(polled.latencies, 0.5).toFixed(1), ''],
        ['poll p99 (ms)', quantile(polled.latencies, 0.99).toFixed(1), '≤ 50'],
        ['of it before the client sent it, p99 (ms)', quantile(polled.lateness, 0.99).toFixed(1), ''],
        ['resident memory (MB)', (after.residentBytes / 1e6).toFixed(0), '≤ 100'],
        [
          'CPU per poll (ms)',
          (((after.cpuSeconds - before.cpuSeconds) * 1_000) / polled.latencies.length).toFixed(2),
          '',
        ],
        ['answers that were not "not ready"', String(polled.odd), '0'],
      ]);
      return polled.odd === 0;
    } finally {
      await fleet.stop();
    }
  });
}

async function startGatewayAlone({ admin, controlPlane }: BenchWorld): Promise<Fleet> {
  await createBenchNamespace(admin, NAMESPACE);
  await installGateway(admin);
  const kubeconfig = await controlPlane.kubeconfigFor(GATEWAY);
  return startFleet({
    kubeconfig,
    providerURL: 'http://127.0.0.1:9',
    operators: 0,
    sidecars: 0,
    built: true,
    gateways: { count: 1, kubeconfig, keys: { [NAMESPACE]: KEY } },
  });
}

async function submitAll(url: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  // Not one more: the bound of a namespace is as many.
  let next = 0;
  const submit = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const fields = { key: KEY, method: 'turnstile', sitekey: '0x4AAA', pageurl: `https://example.com/${index}` };
      const text = await get(`${url}/in.php?${new URLSearchParams(fields)}`);
      if (!text.startsWith('OK|')) throw new Error(`a submission was answered ${text}`);
      ids.push(text.slice(3));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, submit));
  return ids;
}

async function pollAll(
  url: string,
  ids: readonly string[],
  { clients, seconds }: GatewayBenchOptions,
): Promise<{ latencies: Float64Array; lateness: Float64Array; odd: number }> {
  const latencies: number[] = [];
  const lateness: number[] = [];
  let odd = 0;
  const startMs = performance.now() + 100;
  const pollOne = async (id: string, atMs: number): Promise<void> => {
    lateness.push(performance.now() - atMs);
    const text = await get(`${url}/res.php?action=get&id=${id}&key=${KEY}`);
    latencies.push(performance.now() - atMs);
    if (text !== 'CAPCHA_NOT_READY') odd++;
  };
  const client = async (number: number): Promise<void> => {
    const own = ids.filter((_, index) => index % clients === number);
    const under: Promise<void>[] = [];
    for (let round = 0; round * EVERY_MS < seconds * 1_000; round++) {
      for (const [place, id] of own.entries()) {
        // Spread over the interval, as clients that started at different times are.
        const atMs = startMs + round * EVERY_MS + ((number + place * clients) * EVERY_MS) / ids.length;
        await delay(Math.max(0, atMs - performance.now()));
        under.push(pollOne(id, atMs));
      }
    }
    await Promise.all(under);
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return { latencies: sorted(latencies), lateness: sorted(lateness), odd };
}

const sorted = (values: readonly number[]): Float64Array => Float64Array.from(values).toSorted();

const agent = new Agent({ keepAlive: false });

function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.once('end', () => resolve(text));
    });
    sent.once('error', reject);
    sent.end();
  });
}

async function figures(fleet: Fleet): Promise<{ calls: number; residentBytes: number; cpuSeconds: number }> {
  const samples = await scrape(fleet.gateways[0]?.metricsURL ?? '');
  return {
    calls: total(samples, 'rest_client_requests_total'),
    residentBytes: total(samples, 'process_resident_memory_bytes'),
    cpuSeconds: total(samples, 'process_cpu_seconds_total'),
  };
}
