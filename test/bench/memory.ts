/**
 * `npm run bench -- memory`: what a starting operator takes at most while it learns tasks of every size, streamed and in
 * pages. The built operator, as the image runs it and with the heap that V8 gives itself within the manifest's limit;
 * it stands by, for the caches of a standby are a leader's. Fails where a case is not known or leaves the limit.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startChild } from '../../dev/child.ts';
import { DEMO_API_KEY } from '../../dev/fleet.ts';
import { peakBytes } from './cpu.ts';
import { startLargeApi } from './large-api.ts';
import type { LargeTasks } from './large-api.ts';
import { say } from './world.ts';

/** As in deploy/base/deployment.yaml. */
const LIMIT_MIB = 384;
/** Half of it is what V8 takes for its old generation in a container of this size. */
const HEAP = `--max-old-space-size=${LIMIT_MIB / 2}`;
const BOUND_MS = 120_000;

interface Case {
  what: string;
  tasks: LargeTasks;
  namespaces?: number;
}

const image = (bytes: number) => ({ type: 'Image', image: { body: 'A'.repeat(bytes) } });
const parameters = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`p${index}`, 'A'.repeat(16_384)]));
const turnstile = { type: 'Turnstile', turnstile: { siteKey: 'site-key', pageURL: 'https://example.com/login' } };

const CASES: readonly Case[] = [
  { what: 'none', tasks: { count: 0, captcha: turnstile } },
  { what: '500 × 200 KB', tasks: { count: 500, captcha: image(200_000) } },
  { what: '1,000 × 100 KB', tasks: { count: 1_000, captcha: image(100_000) } },
  { what: '2,000 × 50 KB', tasks: { count: 2_000, captcha: image(50_000) } },
  { what: '1,000 × 200 KB', tasks: { count: 1_000, captcha: image(200_000) } },
  { what: '340 × 400 KB (200 KB applied)', tasks: { count: 340, captcha: image(200_000), applied: true } },
  {
    what: '140 × 1 MB (parameters)',
    tasks: { count: 140, captcha: { type: 'Custom', custom: { method: 'm', parameters } } },
  },
  { what: '16 namespaces × 100 × 100 KB', tasks: { count: 100, captcha: image(100_000) }, namespaces: 16 },
  { what: '100,000 small', tasks: { count: 100_000, captcha: turnstile } },
];

export async function benchMemory(): Promise<boolean> {
  const rows: string[] = [];
  let sound = true;
  for (const each of CASES) {
    const figures: string[] = [];
    for (const streams of [true, false]) {
      say(`memory: ${each.what}, ${streams ? 'streamed' : 'in pages'}`);
      const { peakMiB, seconds } = await measure(each, streams);
      sound &&= peakMiB < LIMIT_MIB && seconds !== undefined;
      figures.push(`${peakMiB.toFixed(0)} MiB, ${seconds === undefined ? 'NOT KNOWN' : `${seconds.toFixed(1)} s`}`);
    }
    rows.push(`${each.what.padEnd(32)} ${(figures[0] ?? '').padStart(18)} ${(figures[1] ?? '').padStart(18)}`);
  }
  console.log(`\nmemory: peak of a starting operator, and when it knew all tasks; below ${LIMIT_MIB} MiB\n`);
  console.log(`${''.padEnd(32)} ${'streamed'.padStart(18)} ${'in pages'.padStart(18)}`);
  for (const row of rows) console.log(row);
  return sound;
}

async function measure({ tasks, namespaces = 1 }: Case, streams: boolean) {
  const directory = await mkdtemp(join(tmpdir(), 'captcha-memory-'));
  const api = await startLargeApi(tasks, streams);
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, api.kubeconfig, { mode: 0o600 });
  const startMs = performance.now();
  const operator = startChild({
    entry: 'operator',
    built: true,
    env: {
      NODE_OPTIONS: HEAP,
      KUBECONFIG: kubeconfig,
      WATCH_NAMESPACES: Array.from({ length: namespaces }, (_, index) => `large-${index}`).join(','),
      PROVIDER_API_KEY: DEMO_API_KEY,
      POD_NAMESPACE: 'captcha-system',
      POD_NAME: 'operator-0',
      LEADER_ELECTION: 'true',
      HEALTH_BIND_ADDRESS: '127.0.0.1:0',
      METRICS_BIND_ADDRESS: '127.0.0.1:0',
    },
  });
  try {
    const known = operator.waitForLine('all tasks to be known', ({ msg }) => msg === 'tasks known', BOUND_MS);
    const seconds = await known.then(
      () => (performance.now() - startMs) / 1_000,
      (error: Error) => {
        say(error.message);
        return undefined;
      },
    );
    return { peakMiB: peakBytes(operator.pid) / 2 ** 20, seconds };
  } finally {
    await operator.stop();
    await api.close();
    await rm(directory, { recursive: true, force: true });
  }
}
