/**
 * Real clients solve two hundred captchas while operator, sidecar and both gateways are killed at random. A program around
 * a client calls it again when its connection broke, as programs do; nothing else is forgiven.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isBrokenConnection, type ClientName } from '../clients/run.ts';
import type { Call } from '../clients/calls.ts';
import { pythonOrReason, startGatewayWorld, type GatewayWorld, type Solve } from '../support/gateway-world.ts';
import { waitUntil } from '../support/wait-until.ts';

const python = await pythonOrReason();
const unless = 'missing' in python ? ` (without Python: ${python.missing})` : '';
const SOLVES = 200;
const KILLS = 16;
/** The official client gives up after three minutes of its own time: more than an unknown submission takes here. */
const PACE = 0.4;

const SITE_KEY = '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-';
const pageOf = (index: number): string => `https://example.com/page/${index}`;
const call = (index: number, rest: Pick<Call, 'call' | 'args'>): Call => ({
  name: `solve-${index}`,
  kwargs: {},
  ...rest,
});
const npm = (index: number): Call =>
  call(index, { call: 'recaptcha', args: [{ googlekey: SITE_KEY, pageurl: pageOf(index) }] });
const official = (index: number): Call => call(index, { call: 'recaptcha_v2', args: [SITE_KEY, pageOf(index)] });

const isNpm = (index: number): boolean => 'missing' in python || index % 2 === 0;

/** The same victims at every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe(`while processes are killed at random${unless}`, () => {
  let world: GatewayWorld;
  let solves: Solve[];
  const killed: string[] = [];

  beforeAll(async () => {
    world = await startGatewayWorld({
      simulator: { answerAfterMs: 1_500 },
      world: { operatorEnv: { UNKNOWN_SUBMISSION_GRACE_SECONDS: '10', POLL_INTERVAL_SECONDS: '2' } },
    });
    // A sidecar that is just being killed misses a callback; the provider tries again, as some do.
    await world.simulator.control.script({ tasks: [{ pingbacks: [{ retry: { times: 60, everyMs: 500 } }] }] });
    const indexes = Array.from({ length: SOLVES }, (_, index) => index);
    const run = (client: ClientName, calls: Call[]): Promise<Solve[]> =>
      calls.length === 0 ? Promise.resolve([]) : world.solve(client, { calls, again: 60, pace: PACE });
    let done = false;
    const all = Promise.all([
      run('@2captcha/captcha-solver', indexes.filter(isNpm).map(npm)),
      run('captchaai', indexes.filter((index) => !isNpm(index)).map(official)),
    ]).finally(() => {
      done = true;
    });
    await killAtRandom(() => done);
    solves = (await all).flat();
  });
  afterAll(() => world?.stop());

  /** The next kill comes when the world has moved on, not when a clock says so. */
  async function killAtRandom(isDone: () => boolean): Promise<void> {
    const { operators, sidecars, gateways } = world.fleet;
    const members = [...operators, ...sidecars, ...gateways];
    const random = seeded(20_260);
    while (!isDone() && killed.length < KILLS) {
      const before = (await world.simulator.control.totals()).requests;
      const hasMoved = async (): Promise<boolean> => (await world.simulator.control.totals()).requests > before + 5;
      await waitUntil('the provider to be called again', async () => isDone() || hasMoved(), { boundMs: 60_000 });
      const victim = members[killed.length < members.length ? killed.length : Math.floor(random() * members.length)];
      killed.push(victim?.name ?? '');
      await victim?.restart();
    }
  }

  test('each of them is killed', () => {
    expect([...new Set(killed)].toSorted()).toEqual(['callback-0', 'gateway-0', 'gateway-1', 'operator-0']);
    console.error(`killed ${killed.length} times: ${killed.join(', ')}`);
  });

  test('every client gets a solution in the end', () => {
    expect(solves).toHaveLength(SOLVES);
    expect(solves.flatMap(({ answer }) => answer.error ?? [])).toEqual([]);
    for (const { answer, task } of solves) {
      const solution = answer.result?.['solution'] ?? answer.result?.['data'];
      expect(solution).toBe(task?.status?.solution?.value);
    }
  });

  test('no client is told anything but that its connection broke', () => {
    const met = solves.flatMap(({ answer }) => answer.met ?? []);
    console.error(`${met.length} broken connections in ${solves.length} solves`);
    expect(met.filter((said) => !said.startsWith('Network') && !isBrokenConnection(said))).toEqual([]);
  });

  test('nothing is paid twice, beyond the attempts that are counted as unknown', async () => {
    const { submissions } = await world.simulator.control.ledger();
    const tasks = await world.tasks();
    for (const { metadata, status } of tasks) {
      const paid = submissions.filter((line) => line.paid && line.pingback.includes(metadata.uid));
      expect(paid.length).toBeLessThanOrEqual(1 + (status?.unknownSubmissions ?? 0));
    }
    const unknown = tasks.reduce((sum, { status }) => sum + (status?.unknownSubmissions ?? 0), 0);
    const paid = submissions.filter((line) => line.paid).length;
    console.error(`${tasks.length} tasks, ${paid} paid, ${unknown} attempts ended as unknown`);
    // Each client's solution is of one task, and of no other client.
    expect(new Set(solves.map(({ task }) => task?.metadata.uid)).size).toBe(SOLVES);
  });
});
