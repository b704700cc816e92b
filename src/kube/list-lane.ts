/**
 * The lane of lists: at most two pages and eight streamed lists at a time, so that a hundred reflectors that list at once
 * cost the memory of those, and no status write ever waits behind them. A stream holds one object at a time and spends
 * most of its time waiting for the server to be up to date (up to 0.1 s), hence the more of them. It also remembers that
 * streamed lists do not work here (an old server, a proxy that holds events back), so that not every reflector has to
 * find out by waiting.
 */
import { createGate } from '../waiting/gate.ts';
import type { Gate } from '../waiting/gate.ts';
import { enterWithin } from './pause.ts';
import type { OnTurn } from './pause.ts';
import type { WatchEnd, WatchOptions } from './watch.ts';

export interface ListLane {
  /** Runs one page in its turn; undefined when the signal aborted before that. */
  page<T>(
    wait: { signal: AbortSignal | undefined; onTurn: OnTurn | undefined },
    read: () => Promise<T>,
  ): Promise<T | undefined>;
  /** Runs a watch that begins with a list; it leaves the lane where its list ends. */
  stream(options: WatchOptions, open: (options: WatchOptions) => Promise<WatchEnd>): Promise<WatchEnd>;
  /** Whether a streamed list is worth a try. */
  streams(): boolean;
}

const PAGES = 2;
const STREAMS = 8;
/** Pages work everywhere; what does not stream is asked again only now and then. */
const NO_STREAMS_MS = 10 * 60_000;
/** The longest time a timer takes: lists wait for their turn as long as their callers do. */
const FOREVER_MS = 2 ** 31 - 1;

export function createListLane(): ListLane {
  const pages = createGate(PAGES);
  const streamed = createGate(STREAMS);
  let noStreamsUntilMs = -Infinity;
  const streams = () => performance.now() >= noStreamsUntilMs;
  return {
    streams,
    async page(wait, read) {
      if (!(await turn(pages, wait))) return undefined;
      try {
        return await read();
      } finally {
        pages.leave();
      }
    },
    async stream(options, open) {
      if (!(await turn(streamed, options))) return { kind: 'stopped' };
      const place = placeIn(streamed);
      // Those who were here before may have found out.
      if (!streams()) {
        place.leave();
        return { kind: 'silent' };
      }
      const seen = { accepted: false, listed: false };
      const end = await open(observed(options, seen, place.leave));
      place.leave();
      if (!seen.listed && doesNotStream(end, seen.accepted)) noStreamsUntilMs = performance.now() + NO_STREAMS_MS;
      return end;
    },
  };
}

async function turn(
  gate: Gate,
  { signal, onTurn }: { signal: AbortSignal | undefined; onTurn?: OnTurn | undefined },
): Promise<boolean> {
  if (signal?.aborted) return false;
  const place = enterWithin(gate, FOREVER_MS, signal);
  if (place === true) return true;
  onTurn?.(false);
  const isOurs = await place;
  onTurn?.(true);
  return isOurs;
}

function placeIn(gate: Gate): { leave(): void } {
  let held = true;
  return {
    leave() {
      if (held) gate.leave();
      held = false;
    },
  };
}

/** Accepted without a list to its end, silent, or refused for the way of asking. Other refusals are about the caller. */
function doesNotStream(end: WatchEnd, accepted: boolean): boolean {
  if (end.kind === 'stopped') return false;
  return accepted || end.kind === 'silent' || (end.kind === 'failed' && isUnknownHere(end.failure.status));
}

/** How a server that does not know streamed lists refuses them. */
export function isUnknownHere(status: number): boolean {
  return status === 400 || status === 422;
}

function observed(
  options: WatchOptions,
  seen: { accepted: boolean; listed: boolean },
  leave: () => void,
): WatchOptions {
  return {
    ...options,
    onAnswer(status) {
      seen.accepted = status === 200;
      options.onAnswer?.(status);
    },
    onEvent(type, object) {
      if (type === 'LISTED') {
        seen.listed = true;
        leave();
      }
      return options.onEvent(type, object);
    },
  };
}
