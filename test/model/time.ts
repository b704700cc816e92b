/**
 * Time in the model. Clocks stand still: every instant that a process notes is the same one, and how much time has
 * passed is chosen anew at each look. So any fence, grace, poll or deadline may be over at any look, or not; that is
 * more than a real clock allows, and what holds here does not depend on durations. A later poll stays later.
 */
import type { CaptchaTaskStatus } from '../../src/api/captchatask.ts';
import type { Moment } from '../../src/core/task/facts.ts';
import type { TaskMemory } from '../../src/core/task/memory.ts';
import { formatTime, parseTime } from '../../src/core/task/times.ts';

export const NOW = Date.parse('2026-01-01T00:00:00Z');
const MONO = 1_000_000;

/** How much time has passed since everything that is remembered, as a look takes it. */
export type Elapsed = 'nothing' | 'the fence' | 'every grace' | 'the deadline';

const PASSED_MS: Readonly<Record<Elapsed, number>> = {
  nothing: 0,
  'the fence': 6_000,
  'every grace': 700_000,
  'the deadline': 90_000_000,
};

/** Tasks of the model have this deadline: between every grace and the longest look. */
export const DEADLINE_SECONDS = 86_400;

export function momentOf(elapsed: Elapsed): Moment {
  return { now: NOW + PASSED_MS[elapsed], mono: MONO + PASSED_MS[elapsed], random: 0.5 };
}

export function watchedMs(elapsed: Elapsed): number {
  return PASSED_MS[elapsed] > 100_000 ? 1e9 : 0;
}

const DUE = formatTime(NOW);
const LATER = formatTime(NOW + 120_000);

/** The status as it would be had the clock stood still; what it shows already stays. */
export function timeless(
  status: CaptchaTaskStatus,
  before: CaptchaTaskStatus | undefined,
  elapsed: Elapsed,
): CaptchaTaskStatus {
  if (PASSED_MS[elapsed] === 0) return status;
  const { now } = momentOf(elapsed);
  const known = new Set(JSON.stringify(before ?? {}).match(/"20\d\d-[^"]+Z"/g));
  const text = JSON.stringify(status).replace(/"20\d\d-[^"]+Z"/g, (time) => {
    if (known.has(time)) return time;
    return JSON.stringify((parseTime(time.slice(1, -1)) ?? 0) > now ? LATER : DUE);
  });
  return JSON.parse(text) as CaptchaTaskStatus;
}

/** The memory as it would be had the clock stood still. */
export function timelessMemory(memory: TaskMemory): TaskMemory {
  const { poll } = memory;
  const flat = withoutTime(memory) as TaskMemory;
  const nextMono = poll.nextMono === undefined ? {} : { nextMono: MONO + 10_000 };
  const rest = memory.notBeforeMono === undefined ? {} : { notBeforeMono: MONO + 3_000 };
  const failures = Math.min(1, poll.failures);
  return { ...flat, ...rest, poll: { ...flat.poll, ...nextMono, failures, booked: false } };
}

function withoutTime(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (name.endsWith('Mono')) return [name, MONO];
      if (name === 'receivedTime' || name === 'unsolvedTime') return [name, NOW];
      return [name, withoutTime(member)];
    }),
  );
}
