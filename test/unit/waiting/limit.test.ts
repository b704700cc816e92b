/**
 * The limit against a simulated server: so many at once, first come, first served, seeded service times. What is asserted
 * are places and shares of what the server can do, over thousands of answers.
 */
import { describe, expect, test } from 'vitest';
import { createHeap } from '../../../src/waiting/heap.ts';
import { type Limit, type LimitOptions, createLimit } from '../../../src/waiting/limit.ts';
import { seededRandom } from '../../bench/open-loop.ts';

const OPTIONS: LimitOptions = { initial: 8, floor: 4, ceiling: 64, tolerance: 2 };

const server = { atOnce: 2, serviceMs: 5, noisy: true };
const patient = { ...OPTIONS, tolerance: 4 };
const fixed = { ...OPTIONS, initial: 16, floor: 16, ceiling: 16 };

interface Server {
  atOnce: number;
  serviceMs: number;
  /** Service times by the exponential distribution, which is noisier than any real server's; else within a tenth. */
  noisy: boolean;
}

interface Client {
  limit: Limit;
  /** Requests a second; always one more where it is not given. */
  rate?: number;
}

interface Request {
  client: number;
  sentMono: number;
  inFlight: number;
}

interface Event {
  atMono: number;
  run(): void;
}

/** What each client got answered and its limit over time, the first fifth left out. */
interface Seen {
  answers: number;
  limits: number[];
  /** Requests that were at the server already when one of it came. */
  ahead: number[];
}

function unseen(): Seen {
  return { answers: 0, limits: [], ahead: [] };
}

/** One world whose server can change while its clients go on. */
function createWorld(server: Server, clients: readonly Client[], seed = 14) {
  const random = seededRandom(seed);
  const events = createHeap<Event>((left, right) => left.atMono < right.atMono);
  const waiting: Request[] = [];
  const inFlight = clients.map(() => 0);
  const wanting = clients.map(({ rate }) => (rate === undefined ? Infinity : 0));
  let seen: Seen[] = [];
  let busy = 0;
  let mono = 0;
  const exponential = (meanMs: number): number => -Math.log(1 - random()) * meanMs;
  const serviceMs = (): number =>
    server.noisy ? exponential(server.serviceMs) : server.serviceMs * (0.9 + 0.2 * random());
  const serve = (): void => {
    while (busy < server.atOnce && waiting.length > 0) {
      const request = waiting.shift()!;
      busy += 1;
      events.push({ atMono: mono + serviceMs(), run: () => answer(request) });
    }
  };
  const answer = ({ client, ...request }: Request): void => {
    busy -= 1;
    inFlight[client]! -= 1;
    const { limit } = clients[client]!;
    limit.answered({ mono, tookMs: mono - request.sentMono, inFlight: request.inFlight, counts: true });
    seen[client]!.answers += 1;
    seen[client]!.limits.push(limit.now());
    send(client);
    serve();
  };
  const send = (client: number): void => {
    const { limit } = clients[client]!;
    while (inFlight[client]! < limit.now() && wanting[client]! > 0) {
      wanting[client]! -= 1;
      inFlight[client]! += 1;
      seen[client]!.ahead.push(busy + waiting.length);
      waiting.push({ client, sentMono: mono, inFlight: inFlight[client]! });
    }
    serve();
  };
  const arrive = (client: number): void => {
    wanting[client]! += 1;
    send(client);
    events.push({ atMono: mono + exponential(1_000 / (clients[client]!.rate ?? 1)), run: () => arrive(client) });
  };
  const go = (untilMono: number): void => {
    for (let next = events.peek(); next !== undefined && next.atMono <= untilMono; next = events.peek()) {
      events.pop();
      mono = next.atMono;
      next.run();
    }
    mono = untilMono;
  };
  for (const [client, { rate }] of clients.entries()) {
    events.push({ atMono: 0, run: () => (rate === undefined ? send(client) : arrive(client)) });
  }
  return {
    pressed: (limit: Limit): boolean => limit.isPressed(mono),
    /** Goes on for so many seconds, and says what was seen once the first fifth is over. */
    run(seconds: number): Seen[] {
      const startMono = mono;
      seen = clients.map(unseen);
      go(startMono + seconds * 200);
      seen = clients.map(unseen);
      go(startMono + seconds * 1_000);
      return seen;
    },
  };
}

function middle(limits: readonly number[]): number {
  return limits.toSorted((left, right) => left - right)[limits.length >> 1] ?? Number.NaN;
}

/** Share of what the server can do, over the four fifths of `seconds` that count. */
function share(answers: number, { atOnce, serviceMs }: Server, seconds: number): number {
  return (answers * serviceMs) / (atOnce * seconds * 800);
}

/** The limits that only one in fifty was below, and above. */
function spread(limits: readonly number[]): [number, number] {
  const sorted = limits.toSorted((left, right) => left - right);
  return [sorted[Math.floor(sorted.length * 0.02)]!, sorted[Math.floor(sorted.length * 0.98)]!];
}

/** At rest: `tolerance` times what the server does at once, and the root of it, give or take what noise does to it. */
function expectNear(limit: number, atOnce: number): void {
  expect(limit).toBeGreaterThanOrEqual(Math.max(OPTIONS.floor, atOnce));
  expect(limit).toBeLessThanOrEqual(3 * atOnce + 6);
}

describe('a limit that is the only thing in the way', () => {
  const worlds = [1, 2, 8, 16].flatMap((atOnce) =>
    [4, 64].flatMap((initial) => [false, true].map((noisy) => [atOnce, initial, noisy] as const)),
  );

  test.each(worlds)('comes to rest at a server of %i at once, from %i, noisy: %s', (atOnce, initial, noisy) => {
    const server = { atOnce, serviceMs: 5, noisy };
    const world = createWorld(server, [{ limit: createLimit({ ...OPTIONS, initial }) }]);
    for (const seconds of [10, 60, 60]) {
      const [seen] = world.run(seconds);
      expectNear(middle(seen!.limits), atOnce);
      expect(share(seen!.answers, server, seconds)).toBeGreaterThan(0.95);
    }
  });

  test.each([
    [1.3, false],
    [3, true],
  ])('keeps within a factor of %d there for minutes; noisy: %s', (factor, noisy) => {
    const world = createWorld({ atOnce: 8, serviceMs: 5, noisy }, [{ limit: createLimit(OPTIONS) }]);
    world.run(60);
    const [low, high] = spread(world.run(300)[0]!.limits);
    expect(high / low).toBeLessThan(factor);
  });

  test.each([false, true])('follows when the server halves, and when it doubles; noisy: %s', (noisy) => {
    const server = { atOnce: 16, serviceMs: 5, noisy };
    const world = createWorld(server, [{ limit: createLimit(OPTIONS) }]);
    for (const atOnce of [16, 8, 4, 8, 16]) {
      server.atOnce = atOnce;
      const [seen] = world.run(5);
      expectNear(middle(seen!.limits), atOnce);
      expect(share(seen!.answers, server, 5)).toBeGreaterThan(0.95);
    }
  });

  test.each([false, true])('uses the whole of a server that takes ten times as long for good; noisy: %s', (noisy) => {
    const server = { atOnce: 16, serviceMs: 5, noisy };
    const world = createWorld(server, [{ limit: createLimit(OPTIONS) }]);
    world.run(60);
    server.serviceMs = 50;
    world.run(60);
    const [seen] = world.run(60);
    expect(share(seen!.answers, server, 60)).toBeGreaterThan(0.95);
  });

  test('is above its floor as soon as a slow server with room answers: 50 ms, 64 at once', () => {
    const server = { atOnce: 64, serviceMs: 50, noisy: false };
    const world = createWorld(server, [{ limit: createLimit(OPTIONS) }]);
    const [seen] = world.run(10);
    expect(middle(seen!.limits)).toBe(OPTIONS.ceiling);
    expect(share(seen!.answers, server, 10)).toBeGreaterThan(0.95);
  });
});

test('asks less and less often how quick the server is, while it rightly stands at its floor', () => {
  const world = createWorld({ atOnce: 2, serviceMs: 5, noisy: true }, [{ limit: createLimit(fixed) }]);
  world.run(60);
  const { limits } = world.run(60)[0]!;
  const asking = limits.filter((limit) => limit === 2).length;
  expect(asking).toBeGreaterThan(0);
  expect(asking / limits.length).toBeLessThan(0.01);
});

test('does not grow while it is in nobody’s way', () => {
  const limit = createLimit({ ...OPTIONS, initial: 12 });
  // Two at once on average: never twelve.
  const world = createWorld({ atOnce: 64, serviceMs: 5, noisy: false }, [{ limit, rate: 400 }]);
  world.run(60);
  expect(limit.now()).toBe(12);
});

describe('an answer that is no answer', () => {
  test('halves the limit, once for all that were in flight together', () => {
    const limit = createLimit({ ...OPTIONS, initial: 32 });
    for (let answer = 0; answer < 32; answer += 1) limit.answered({ mono: 10, tookMs: 5, inFlight: 8, counts: true });
    for (let refused = 0; refused < 20; refused += 1) limit.overloaded(20 + refused / 10);
    expect(limit.now()).toBe(16);
    limit.overloaded(30);
    expect(limit.now()).toBe(8);
  });

  test('leaves the floor, however often', () => {
    const limit = createLimit(OPTIONS);
    for (let mono = -100_000; mono < 0; mono += 100) limit.overloaded(mono);
    expect(limit.now()).toBe(OPTIONS.floor);
    const server = { atOnce: 16, serviceMs: 5, noisy: true };
    const [seen] = createWorld(server, [{ limit }]).run(20);
    expect(share(seen!.answers, server, 20)).toBeGreaterThan(0.95);
  });
});

test('what does not count takes places and says nothing; a probe ends without answers that count', () => {
  const limit = createLimit({ ...OPTIONS, initial: 8 });
  const answers = (count: number, mono: number, counts: boolean): void => {
    for (let each = 0; each < count; each += 1) limit.answered({ mono, tookMs: 1, inFlight: 8, counts });
  };
  answers(100, 10, false);
  expect(limit.now()).toBe(8);
  answers(8, 20, true);
  expect(limit.now()).toBe(2);
  answers(100, 1_000, false);
  expect(limit.now()).toBe(2);
  answers(1, 2_100, false);
  expect(limit.now()).toBe(9);
});

/** Requests that one of a hundred a second finds at the server, while another one sends whatever it may. */
function aheadOf(options: LimitOptions): number {
  const world = createWorld(server, [{ limit: createLimit(options) }, { limit: createLimit(patient), rate: 100 }]);
  world.run(60);
  return middle(world.run(60)[1]!.ahead);
}

describe('two that share a server', () => {
  test('the more tolerant gets all it asks for, the other the rest', () => {
    const world = createWorld(server, [{ limit: createLimit(OPTIONS) }, { limit: createLimit(patient), rate: 200 }]);
    world.run(60);
    const [rest, asked] = world.run(60);
    expect(share(asked!.answers, server, 60)).toBeGreaterThan(0.48);
    expect(share(rest!.answers + asked!.answers, server, 60)).toBeGreaterThan(0.95);
  });

  test('the less tolerant is not starved where both want everything', () => {
    const world = createWorld(server, [{ limit: createLimit(OPTIONS) }, { limit: createLimit(patient) }]);
    world.run(60);
    const [less, more] = world.run(120);
    expect(less!.answers).toBeLessThan(more!.answers);
    expect(share(less!.answers, server, 120)).toBeGreaterThan(0.1);
  });

  test('a request of one finds fewer of the other before it than with a fixed number', () => {
    expect(aheadOf(fixed)).toBeGreaterThanOrEqual(16);
    expect(aheadOf(OPTIONS)).toBeLessThanOrEqual(14);
  });

  test('one that asks for little learns that the other presses, and when it has left', () => {
    const [limit, other] = [createLimit(OPTIONS), createLimit(fixed)];
    const clients = [
      { limit, rate: 40 },
      { limit: other, rate: 1 },
    ];
    const world = createWorld({ ...server, noisy: false }, clients);
    world.run(20);
    expect(world.pressed(limit)).toBe(false);
    clients[1]!.rate = 600;
    world.run(5);
    expect(world.pressed(limit)).toBe(true);
    clients[1]!.rate = 1;
    world.run(60);
    expect(world.pressed(limit)).toBe(false);
  });
});
