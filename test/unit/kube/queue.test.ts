/** The work queue on a manual clock: merging, order, times, backoff, pausing, stopping. */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createWorkQueue } from '../../../src/kube/queue.ts';
import type { WorkQueue, WorkQueueOptions } from '../../../src/kube/queue.ts';

type Process = WorkQueueOptions['process'];

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const queueOf = (process: Process, extra: Partial<WorkQueueOptions> = {}): WorkQueue =>
  createWorkQueue({ name: 'test', concurrency: 2, process, now: Date.now, backoff: (n) => n * 100, ...extra });

/** A process whose passes end when the test says so. */
function heldPasses() {
  const started: string[] = [];
  const ends = new Map<string, (result?: { retryAtMs?: number }) => void>();
  const fails = new Map<string, (error: Error) => void>();
  const process: Process = (key) => {
    started.push(key);
    return new Promise((resolve, reject) => {
      ends.set(key, (result) => resolve(result));
      fails.set(key, reject);
    });
  };
  return {
    started,
    process,
    end: (key: string) => ends.get(key)?.(),
    fail: (key: string) => fails.get(key)?.(new Error('x')),
  };
}
/** Lets ready keys start. A faked immediate that is asked for during a tick runs a millisecond late. */
const settle = () => vi.advanceTimersByTimeAsync(3);
/** Milliseconds since the start of the test, to ten. */
const elapsed = () => Math.round((Date.now() - 1_000_000) / 10) * 10;

describe('passes that hang', () => {
  test('leave one worker to the other namespaces, once one of them has ended', async () => {
    const { process, started, end } = heldPasses();
    const queue = queueOf(process, { concurrency: 4 });
    queue.add('other/before');
    await settle();
    end('other/before');
    await settle();
    started.length = 0;
    for (let n = 0; n < 20; n += 1) queue.add(`slow/${n}`);
    await settle();
    expect(started).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(2_000);
    for (const n of [0, 1]) end(`slow/${n}`);
    await settle();
    queue.add('slow/urgent', 'urgent');
    queue.add('other/a');
    await settle();
    expect(started).toEqual(['slow/0', 'slow/1', 'slow/2', 'slow/3', 'slow/4', 'other/a']);
    end('other/a');
    await settle();
    expect(started).toHaveLength(6);
    end('slow/2');
    await settle();
    expect(started.at(-1)).toBe('slow/urgent');
  });

  test('have all the workers where nobody else comes, or all are slow', async () => {
    const { process, started, end } = heldPasses();
    const queue = queueOf(process, { concurrency: 4 });
    for (let n = 0; n < 20; n += 1) queue.add(`slow/${n}`);
    await settle();
    await vi.advanceTimersByTimeAsync(2_000);
    for (const n of [0, 1]) end(`slow/${n}`);
    await settle();
    expect(started).toHaveLength(6);
    expect(queue.active()).toBe(4);
  });
});

describe('the queue', () => {
  test('merges keys that are added while they are ready', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.depth()).toBe(2);
    await settle();
    expect(started).toEqual(['a', 'b']);
  });

  test('starts ready keys in the order in which they came', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key), { concurrency: 1 });
    const keys = Array.from({ length: 3_000 }, (_, index) => `k${index}`);
    for (const key of keys) queue.add(key);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(started).toEqual(keys);
  });

  test('lets namespaces take turns, so that the backlog of one does not delay the others', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key), { concurrency: 1 });
    for (let index = 0; index < 1_000; index += 1) queue.add(`busy/${index}`);
    queue.add('quiet/a');
    queue.add('quiet/b');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(started.slice(0, 4)).toEqual(['busy/0', 'quiet/a', 'busy/1', 'quiet/b']);
    expect(started).toHaveLength(1_002);
  });

  test('starts what is urgent before all that is ready, once', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key), { concurrency: 1 });
    for (const key of ['n/a', 'n/b', 'n/c']) queue.add(key);
    for (const key of ['n/c', 'n/d']) queue.add(key, 'urgent');
    expect(queue.depth()).toBe(4);
    await vi.advanceTimersByTimeAsync(100);
    expect(started).toEqual(['n/c', 'n/d', 'n/a', 'n/b']);
  });

  test('remembers during a pass that what follows is urgent', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process, { concurrency: 1 });
    queue.add('n/a');
    await settle();
    for (const key of ['n/b', 'n/c']) queue.add(key);
    queue.add('n/a', 'urgent');
    queue.add('n/a');
    passes.end('n/a');
    await settle();
    expect(passes.started).toEqual(['n/a', 'n/a']);
  });

  test('gives no worker a key that another one has, and gives it again afterwards', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process);
    queue.add('a');
    await settle();
    queue.add('a');
    queue.add('a');
    await settle();
    expect(passes.started).toEqual(['a']);
    passes.end('a');
    await settle();
    expect(passes.started).toEqual(['a', 'a']);
    passes.end('a');
    await settle();
    expect(passes.started).toHaveLength(2);
  });

  test('lets a pass answer for every time that was told before it began', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process);
    queue.add('a');
    await settle();
    queue.addAt('a', Date.now() + 500);
    queue.add('a');
    passes.end('a');
    await settle();
    passes.end('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(passes.started).toEqual(['a', 'a']);
  });

  test('keeps a time that is told during a pass', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process);
    queue.add('a');
    await settle();
    queue.addAt('a', Date.now() + 500);
    passes.end('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(passes.started).toEqual(['a', 'a']);
  });

  test('keeps its width', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process);
    for (const key of ['a', 'b', 'c']) queue.add(key);
    await settle();
    expect([queue.active(), queue.depth()]).toEqual([2, 1]);
    passes.end('a');
    await settle();
    expect(passes.started).toEqual(['a', 'b', 'c']);
  });

  test('starts a pass at the earliest time it was told', async () => {
    const at: number[] = [];
    const queue = queueOf(async () => void at.push(elapsed()));
    queue.addAt('a', 1_000_500);
    queue.addAt('a', 1_000_200);
    queue.addAt('a', 1_000_900);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(at).toEqual([200]);
  });

  test('holds one timer however many keys wait', () => {
    const queue = queueOf(async () => {});
    for (let index = 0; index < 500; index++) queue.addAt(`k${index}`, 1_001_000 - index);
    expect(vi.getTimerCount()).toBe(1);
    expect(queue.waiting()).toBe(500);
  });

  test('takes a time that has passed for now', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    queue.addAt('a', 5);
    await settle();
    expect(started).toEqual(['a']);
  });

  test('wakes a key when its pass said so', async () => {
    const at: number[] = [];
    const queue = queueOf(async () => {
      at.push(elapsed());
      return at.length === 1 ? { retryAtMs: Date.now() + 300 } : {};
    });
    queue.add('a');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(at).toEqual([0, 300]);
  });

  test('notices within half a minute that the wall clock was set forward', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    queue.addAt('a', Date.now() + 3_600_000);
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(started).toEqual(['a']);
  });

  test('retries a key whose pass threw, later each time, and reports it', async () => {
    const at: number[] = [];
    const errors: unknown[] = [];
    const process = async () => {
      at.push(elapsed());
      if (at.length < 4) throw new Error('broken');
    };
    const queue = queueOf(process, { hooks: { onError: (key, error) => errors.push([key, String(error)]) } });
    queue.add('a');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(at).toEqual([0, 100, 300, 600]);
    expect(errors[0]).toEqual(['a', 'Error: broken']);
  });

  test('counts failures anew after a pass without one', async () => {
    const at: number[] = [];
    let failures = 2;
    const queue = queueOf(async (key) => {
      at.push(elapsed());
      if (failures-- > 0) queue.addBackoff(key);
    });
    queue.add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    failures = 1;
    queue.add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(at).toEqual([0, 100, 300, 1_000, 1_100]);
  });

  test('drops the due time of a key that it is told to forget', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    queue.addAt('a', Date.now() + 100);
    queue.forget('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(started).toEqual([]);
  });

  test('starts nothing while paused, and loses nothing by it', async () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    queue.pause();
    queue.add('a');
    queue.addAt('b', Date.now() + 50);
    await vi.advanceTimersByTimeAsync(100);
    expect(started).toEqual([]);
    queue.resume();
    await settle();
    expect(started).toEqual(['a', 'b']);
  });

  test('does not process from inside whoever adds', () => {
    const started: string[] = [];
    const queue = queueOf(async (key) => void started.push(key));
    queue.add('a');
    expect(started).toEqual([]);
  });

  test('waits at its stop for passes under way and starts no other', async () => {
    const passes = heldPasses();
    const queue = queueOf(passes.process, { concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.addAt('d', Date.now() + 500);
    await settle();
    const stopped = queue.stop({ drainMs: 1_000 });
    passes.end('a');
    expect(await stopped).toBe(0);
    queue.add('c');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(passes.started).toEqual(['a']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('aborts passes that outlast the drain and says how many did not end', async () => {
    const aborted: string[] = [];
    const queue = queueOf((key, signal) => {
      signal.addEventListener('abort', () => aborted.push(key));
      return new Promise(() => {});
    });
    queue.add('a');
    await settle();
    const stopped = queue.stop({ drainMs: 1_000 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await stopped).toBe(1);
    expect(aborted).toEqual(['a']);
  });

  test('tells its hooks what the usual workqueue metrics need', async () => {
    const told: string[] = [];
    const hooks = {
      onAdd: () => told.push('add'),
      onStart: (queuedMs: number) => told.push(`start after ${queuedMs}`),
      onFinish: (workMs: number) => told.push(`finish after ${workMs}`),
      onRetry: () => told.push('retry'),
    };
    const queue = queueOf(async () => {}, { hooks });
    queue.pause();
    queue.add('a');
    queue.add('a');
    await vi.advanceTimersByTimeAsync(40);
    queue.resume();
    await settle();
    queue.addBackoff('a');
    expect(told).toEqual(['add', 'start after 40', 'finish after 0', 'retry']);
  });
});

type Command =
  | { do: 'add'; key: string }
  | { do: 'backoff'; key: string }
  | { do: 'addAt'; key: string; inMs: number }
  | { do: 'pause' }
  | { do: 'resume' }
  | { do: 'pass'; ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant('add' as const), key }),
  fc.record({ do: fc.constant('backoff' as const), key }),
  fc.record({ do: fc.constant('addAt' as const), key, inMs: fc.integer({ min: -5, max: 60 }) }),
  fc.record({ do: fc.constant('pause' as const) }),
  fc.record({ do: fc.constant('resume' as const) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 40 }) }),
);

test('for any history: one worker a key, the width is kept, and every telling is answered by a later pass', async () => {
  const history = fc.array(command, { minLength: 1, maxLength: 40 });
  const workMs = fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(history, workMs, fc.integer({ min: 1, max: 3 }), async (commands, works, concurrency) => {
      const active = new Set<string>();
      const starts: { key: string; order: number }[] = [];
      let order = 0;
      let passes = 0;
      const process = async (name: string) => {
        expect(active.has(name)).toBe(false);
        active.add(name);
        expect(active.size).toBeLessThanOrEqual(concurrency);
        starts.push({ key: name, order: order++ });
        const ms = works[passes++ % works.length] ?? 0;
        await new Promise((resolve) => setTimeout(resolve, ms));
        active.delete(name);
      };
      const queue = queueOf(process, { concurrency, backoff: () => 20 });
      const told: { key: string; order: number }[] = [];
      for (const step of commands) {
        if (step.do === 'pass') await vi.advanceTimersByTimeAsync(step.ms);
        else if (step.do === 'pause') queue.pause();
        else if (step.do === 'resume') queue.resume();
        else {
          told.push({ key: step.key, order: order++ });
          if (step.do === 'add') queue.add(step.key);
          else if (step.do === 'backoff') queue.addBackoff(step.key);
          else queue.addAt(step.key, Date.now() + step.inMs);
        }
      }
      queue.resume();
      await vi.advanceTimersByTimeAsync(2_000);
      // Each telling is answered by a pass that began after it.
      for (const one of told)
        expect(starts.some((start) => start.key === one.key && start.order > one.order)).toBe(true);
      expect(starts.length).toBeLessThanOrEqual(told.length);
      expect([queue.depth(), queue.waiting(), queue.active()]).toEqual([0, 0, 0]);
    }),
    { numRuns: 300 },
  );
});

test('for any times told to an idle queue, each key starts at its earliest', async () => {
  const telling = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 100_000 }));
  await fc.assert(
    fc.asyncProperty(fc.array(telling, { maxLength: 60 }), async (tellings) => {
      const beganMs = Date.now();
      const starts = new Map<string, number>();
      const queue = queueOf(async (name) => void starts.set(name, Date.now() - beganMs), { concurrency: 9 });
      const earliest = new Map<string, number>();
      for (const [name, inMs] of tellings) {
        queue.addAt(name, beganMs + inMs);
        earliest.set(name, Math.min(inMs, earliest.get(name) ?? Infinity));
      }
      await vi.advanceTimersByTimeAsync(100_010);
      expect([...starts.keys()].toSorted()).toEqual([...earliest.keys()].toSorted());
      for (const [name, ms] of starts) expect(Math.abs(ms - (earliest.get(name) ?? NaN))).toBeLessThanOrEqual(1);
    }),
    { numRuns: 200 },
  );
});
