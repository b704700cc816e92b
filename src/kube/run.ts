/**
 * Runs a pure protocol of `core/` against the API server: sends each request it yields, hands back the reply, returns
 * its verdict. Decides nothing and repeats nothing.
 */
import type { KubeClient } from './client.ts';
import type { ApiReply, ApiRequest, KubeObject } from './types.ts';

export interface RunOptions {
  signal?: AbortSignal | undefined;
  /** Deadline of all requests together; without it each has its own. */
  withinMs?: number | undefined;
  /** Every object that a read or write returned, before the protocol goes on: the caller puts it in its store. */
  onObject?(object: KubeObject, request: ApiRequest): void;
}

/** Executes `protocol` to its end. An exception of the protocol is a bug and passes through. */
export async function runProtocol<Verdict>(
  client: Pick<KubeClient, 'execute'>,
  protocol: Generator<ApiRequest, Verdict, ApiReply>,
  options: RunOptions = {},
): Promise<Verdict> {
  const { signal, withinMs, onObject } = options;
  const untilMs = withinMs === undefined ? undefined : performance.now() + withinMs;
  let step = protocol.next();
  while (!step.done) {
    const request = step.value;
    const timeoutMs = untilMs === undefined ? undefined : Math.max(1, untilMs - performance.now());
    const reply = await client.execute(request, { signal, timeoutMs });
    if (onObject !== undefined && reply.ok && isOfOne(request)) onObject(reply.object as KubeObject, request);
    step = protocol.next(reply);
  }
  return step.value;
}

function isOfOne({ verb }: ApiRequest): boolean {
  return verb !== 'delete' && verb !== 'list';
}
