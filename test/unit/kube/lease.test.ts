/** Leader election on manual clocks, against a Lease kept in memory by the API server's rules. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KubeClient } from '../../../src/kube/client.ts';
import { startLease } from '../../../src/kube/lease.ts';
import type { Lease, LeaseOptions } from '../../../src/kube/lease.ts';
import type { ApiReply, ApiRequest } from '../../../src/kube/types.ts';

interface StoredLease {
  metadata: { resourceVersion: string; labels?: object };
  spec: { holderIdentity?: string; leaseTransitions?: number; leaseDurationSeconds?: number; renewTime?: string };
}

/** One Lease; refuses stale versions. `down` answers nothing but failures. */
class LeaseServer {
  lease: StoredLease | undefined;
  version = 0;
  writes: ApiRequest[] = [];
  down = false;
  /** Delays each answer, after the write took effect. */
  slowMs = 0;

  client(): Pick<KubeClient, 'execute'> {
    return {
      execute: async (request) => {
        const reply = this.#act(request);
        await new Promise((resolve) => setTimeout(resolve, this.slowMs));
        return reply;
      },
    };
  }

  #act(request: ApiRequest): ApiReply {
    if (this.down) return refusal(0, true);
    if (request.verb === 'get') return this.lease ? { ok: true, object: structuredClone(this.lease) } : refusal(404);
    if (request.verb !== 'create' && request.verb !== 'replace') return refusal(405);
    const object = structuredClone(request.object) as StoredLease;
    const isStale = object.metadata.resourceVersion !== this.lease?.metadata.resourceVersion;
    if (request.verb === 'create' ? this.lease !== undefined : isStale) return refusal(409);
    this.writes.push(request);
    this.lease = object;
    this.lease.metadata.resourceVersion = String(++this.version);
    return { ok: true, object: structuredClone(this.lease) };
  }
}

function refusal(status: number, transient = false): ApiReply {
  return { ok: false, status, reason: 'No', message: '', transient, sent: false };
}

const open: Lease[] = [];
beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-22T10:00:00.123Z') });
});
afterEach(async () => {
  await Promise.all([...open.splice(0).map((lease) => lease.stop()), vi.advanceTimersByTimeAsync(60_000)]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function campaign(server: LeaseServer, identity: string, extra: Partial<LeaseOptions> = {}) {
  const changes: boolean[] = [];
  const lease = startLease({ client: server.client(), namespace: 'ns', name: 'l', identity, ...extra });
  lease.onChange((leading) => changes.push(leading));
  open.push(lease);
  return { lease, changes, leads: () => lease.isLeader() };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** `a` leads. */
async function leader() {
  const server = new LeaseServer();
  const a = campaign(server, 'a');
  await pass(10);
  return { server, a };
}

describe('a candidate', () => {
  test('creates the Lease where there is none, with times of six digits', async () => {
    const { server, a } = await leader();
    expect([a.leads(), a.changes]).toEqual([true, [true]]);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0, leaseDurationSeconds: 15 });
    expect(server.lease?.spec.renewTime).toBe('2026-11-22T10:00:00.123000Z');
  });

  test('leaves a Lease alone that keeps changing, however old its timestamps are', async () => {
    const server = new LeaseServer();
    const a = campaign(server, 'a', { now: () => 0 });
    await pass(10);
    const b = campaign(server, 'b');
    await pass(120_000);
    expect([a.leads(), b.leads(), a.changes]).toEqual([true, false, [true]]);
  });

  test('takes a Lease that has not changed for its duration since it first saw it, not earlier', async () => {
    const server = new LeaseServer();
    server.lease = {
      metadata: { resourceVersion: '0', labels: { team: 'x' } },
      spec: { holderIdentity: 'dead', leaseTransitions: 4, renewTime: '2000-01-01T00:00:00.000000Z' },
    };
    const a = campaign(server, 'a');
    await pass(14_900);
    expect(a.leads()).toBe(false);
    await pass(200);
    expect(a.leads()).toBe(true);
    expect(server.lease).toMatchObject({ metadata: { labels: { team: 'x' } }, spec: { leaseTransitions: 5 } });
  });

  test('believes a holder that promised to renew more slowly', async () => {
    const server = new LeaseServer();
    server.lease = { metadata: { resourceVersion: '0' }, spec: { holderIdentity: 'slow', leaseDurationSeconds: 60 } };
    const a = campaign(server, 'a');
    await pass(59_000);
    expect(a.leads()).toBe(false);
    await pass(2_000);
    expect(a.leads()).toBe(true);
  });

  test('takes over within lease duration and retry period when the leader dies', async () => {
    const { server, a } = await leader();
    const b = campaign(server, 'b');
    await pass(30_000);
    await a.lease.stop();
    await pass(17_000);
    expect(b.leads()).toBe(true);
  });

  test('waits while the API is down, says so once, and leads when it comes', async () => {
    const server = new LeaseServer();
    server.down = true;
    const troubles: string[] = [];
    const a = campaign(server, 'a', { hooks: { onTrouble: (message) => troubles.push(message) } });
    await pass(60_000);
    expect([a.leads(), troubles]).toEqual([false, ['No (0)']]);
    server.down = false;
    await pass(2_000);
    expect(a.leads()).toBe(true);
  });
});

describe('a leader', () => {
  test('renews by one write a round, without a read', async () => {
    const server = new LeaseServer();
    const a = campaign(server, 'a');
    await pass(20_000);
    expect(server.writes.length).toBeGreaterThanOrEqual(10);
    expect(server.writes.length).toBeLessThanOrEqual(14);
    expect([a.changes, server.lease?.spec.leaseTransitions]).toEqual([[true], 0]);
  });

  test('steps down at the renew deadline when the API is gone, and campaigns again', async () => {
    const { server, a } = await leader();
    server.down = true;
    await pass(9_900);
    expect(a.leads()).toBe(true);
    await pass(200);
    expect([a.leads(), a.changes]).toEqual([false, [true, false]]);
    server.down = false;
    await pass(2_000);
    expect(a.changes).toEqual([true, false, true]);
  });

  test('tells of its stepping down by itself, without being asked', async () => {
    const { server, a } = await leader();
    server.down = true;
    await pass(10_100);
    expect(a.changes).toEqual([true, false]);
  });

  test('is none the moment it runs again after a pause, before any timer ran', async () => {
    const server = new LeaseServer();
    let pausedMs = 0;
    const a = campaign(server, 'a', { monotonicMs: () => performance.now() + pausedMs });
    await pass(10);
    expect(a.leads()).toBe(true);
    pausedMs = 11_000;
    expect([a.leads(), a.changes]).toEqual([false, [true, false]]);
  });

  test('counts from before a renewal was sent, so a slow answer does not lengthen it', async () => {
    const { server, a } = await leader();
    server.slowMs = 4_000;
    await pass(60_000);
    // The server's Lease is never older than what the leader believes.
    expect(a.changes).toEqual([true]);
    server.down = true;
    server.slowMs = 0;
    await pass(10_000);
    expect(a.leads()).toBe(false);
  });

  test('steps down at once when somebody else holds the Lease', async () => {
    const { server, a } = await leader();
    server.lease = { metadata: { resourceVersion: '900' }, spec: { holderIdentity: 'usurper' } };
    server.version = 900;
    await pass(2_100);
    expect([a.leads(), a.changes]).toEqual([false, [true, false]]);
  });

  test('is not disturbed by a label that somebody puts on the Lease', async () => {
    const { server, a } = await leader();
    if (server.lease) server.lease.metadata = { resourceVersion: '700', labels: { new: 'label' } };
    server.version = 700;
    await pass(10_000);
    expect([a.changes, server.lease?.metadata.labels]).toEqual([[true], { new: 'label' }]);
  });

  test('is not moved by the wall clock', async () => {
    const server = new LeaseServer();
    const a = campaign(server, 'a');
    const b = campaign(server, 'b');
    await pass(10);
    for (const step of [3_600_000, -7_200_000, 86_400_000]) {
      vi.setSystemTime(Date.now() + step);
      await pass(20_000);
    }
    expect([...a.changes, ...b.changes]).toEqual([true]);
  });

  test('hands the Lease back, so that the next one need not wait', async () => {
    const { server, a } = await leader();
    const b = campaign(server, 'b');
    await pass(100);
    const released = a.lease.release();
    expect(a.leads()).toBe(false);
    await pass(10);
    await released;
    expect(server.lease?.spec.holderIdentity).toBe('');
    await pass(2_000);
    expect([b.leads(), server.lease?.spec.leaseTransitions]).toEqual([true, 1]);
    await pass(60_000);
    expect(a.leads()).toBe(false);
  });

  test('hands the Lease back although a renewal was on the wire, whichever of the two comes first', async () => {
    for (const arrives of ['before the hand-back reads', 'after the hand-back read']) {
      const server = new LeaseServer();
      const inner = server.client();
      let renewal: (() => void) | undefined;
      let isStopping = false;
      const client: Pick<KubeClient, 'execute'> = {
        async execute(request, options) {
          if (request.verb === 'replace' && !isStopping) {
            renewal = () => void inner.execute(request);
            return new Promise((resolve) => {
              options?.signal?.addEventListener('abort', () => resolve(refusal(0, true)));
            });
          }
          if (arrives === 'before the hand-back reads') renewal?.();
          const reply = await inner.execute(request, options);
          if (isStopping) renewal?.();
          renewal = undefined;
          return reply;
        },
      };
      const a = campaign(server, 'a', { client });
      await pass(2_500);
      isStopping = true;
      const released = a.lease.release();
      await pass(100);
      await released;
      expect([arrives, server.lease?.spec.holderIdentity]).toEqual([arrives, '']);
    }
  });

  test('hands back nothing that it does not hold', async () => {
    const { server, a } = await leader();
    const b = campaign(server, 'b');
    await pass(100);
    await Promise.all([b.lease.release(), pass(10)]);
    expect([server.lease?.spec.holderIdentity, a.leads()]).toEqual(['a', true]);
  });
});

test.each([
  ['a renew deadline that is not shorter than the lease', { leaseDurationMs: 10_000, renewDeadlineMs: 10_000 }],
  ['a retry period that leaves no second try before the deadline', { renewDeadlineMs: 2_400, retryPeriodMs: 2_000 }],
  ['no duration', { leaseDurationMs: 0, renewDeadlineMs: -2, retryPeriodMs: -4 }],
  ['what is no number', { retryPeriodMs: Number.NaN }],
])('%s is refused before anything is asked', (_title, durations) => {
  const server = new LeaseServer();
  expect(() =>
    startLease({ client: server.client(), namespace: 'ns', name: 'l', identity: 'a', ...durations }),
  ).toThrow(/lease: /);
});

test('never has two leaders that run, whatever pauses, outages and slow answers hit each of three candidates', async () => {
  let seed = 42;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const server = new LeaseServer();
  const reachable = [true, true, true];
  const frozen: (PromiseWithResolvers<void> | undefined)[] = [undefined, undefined, undefined];
  const candidates = [0, 1, 2].map((index) => {
    const inner = server.client();
    const client: Pick<KubeClient, 'execute'> = {
      async execute(request, options) {
        if (random() < 0.5) await frozen[index]?.promise;
        const reply = reachable[index] ? await inner.execute(request, options) : refusal(0, true);
        await frozen[index]?.promise;
        return reply;
      },
    };
    return campaign(server, `c${index}`, { client, random });
  });
  let led = 0;
  for (let step = 0; step < 800; step++) {
    const index = Math.floor(random() * 3);
    if (random() < 0.3) reachable[index] = !reachable[index];
    if (random() < 0.2) frozen[index] ??= Promise.withResolvers<void>();
    else if (frozen[index]) {
      frozen[index].resolve();
      frozen[index] = undefined;
    }
    server.slowMs = random() < 0.2 ? random() * 3_000 : 0;
    await pass(random() * 4_000);
    // A frozen process runs nothing, so what it would say does not count until it runs again.
    const leaders = candidates.filter((candidate, at) => !frozen[at] && candidate.leads()).length;
    expect(leaders).toBeLessThanOrEqual(1);
    led += leaders;
  }
  for (const one of frozen) one?.resolve();
  expect(led).toBeGreaterThan(100);
});
