/**
 * Reads a list page by page, and through what may happen to a page: one that is too large is asked for again in halves,
 * one that failed is asked for again with its token, and where the token has expired the server's fresh one goes on
 * from the same place. So a fault costs a page and not the list, whatever the size of the objects.
 * Source: "Retrieving large results sets in chunks", Kubernetes API concepts.
 */
import { exponentialBackoff } from '../waiting/backoff.ts';
import type { KubeClient, ListFailure, ListReply } from './client.ts';
import type { OnTurn } from './pause.ts';
import type { ListOptions } from './requests.ts';
import type { Resource } from './types.ts';

export interface PagesOptions {
  query: Omit<ListOptions, 'limit' | 'continue'>;
  /** Objects a page, to begin with. */
  pageSize: number;
  signal?: AbortSignal | undefined;
  /** Waits before a page is asked for again; ends at once when the signal aborts. */
  sleep(delayMs: number): Promise<unknown>;
  random?: () => number;
  /** `OnTurn` of each page. */
  onTurn?: OnTurn | undefined;
  /** Every answer, also those that are repeated. */
  onReply?(reply: ListReply): void;
}

/** After so many failures of one page the list is given up: what fails is not the page. */
const MAX_TRIES = 4;
const LONGEST_RETRY_AFTER_MS = 30_000;

interface Reading {
  limit: number;
  /** The token of the page that comes next; undefined for the first. */
  next: string | undefined;
  /** Failures of this page in a row. */
  tries: number;
}

/**
 * Yields the pages; the last thing it yields is a failure where the list could not be completed. A first page that
 * fails is not asked for again: nothing is lost by starting over, and the caller knows how long to wait.
 */
export async function* pagesOf(
  client: Pick<KubeClient, 'list'>,
  resource: Resource,
  options: PagesOptions,
): AsyncGenerator<ListReply, void> {
  const { query, signal, random = Math.random, onTurn } = options;
  const backoff = exponentialBackoff({ baseMs: 500, maxMs: 8_000, jitter: 0.3, random });
  const reading: Reading = { limit: options.pageSize, next: undefined, tries: 0 };
  for (;;) {
    const page = await client.list(resource, {
      ...query,
      limit: reading.limit,
      continue: reading.next,
      signal,
      onTurn,
    });
    options.onReply?.(page);
    if (page.ok) {
      yield page;
      if (page.continue === undefined) return;
      reading.next = page.continue;
      reading.tries = 0;
    } else {
      const again = signal?.aborted === true ? undefined : anotherTry(reading, page);
      if (again === undefined) {
        yield page;
        return;
      }
      Object.assign(reading, again);
      if (again.tries > 0) await options.sleep(Math.max(backoff(again.tries), retryAfterMs(page)));
    }
  }
}

/** How to ask for the same page again; undefined: not at all. `tries` above 0: after a while. */
function anotherTry({ limit, next, tries }: Reading, failure: ListFailure): Reading | undefined {
  if (failure.reason === 'TooLarge') return limit > 1 ? { limit: Math.ceil(limit / 2), next, tries: 0 } : undefined;
  if (next === undefined) return undefined;
  if (failure.status === 410)
    return failure.continue === undefined ? undefined : { limit, next: failure.continue, tries: 0 };
  return failure.transient && tries < MAX_TRIES ? { limit, next, tries: tries + 1 } : undefined;
}

function retryAfterMs(failure: ListFailure): number {
  return Math.min(failure.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
}
