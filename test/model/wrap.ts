/** Protocols that differ from the product's in one thing; for mutants. */
import type { ApiReply, ApiRequest, Protocol } from '../../src/core/protocol.ts';

export interface Wrapping {
  /** The request that is sent in its place. */
  request?(request: ApiRequest): ApiRequest;
  /** Answers a request that is not sent at all. */
  instead?(request: ApiRequest): ApiReply | undefined;
  /** The reply as the protocol is told it. */
  reply?(reply: ApiReply, request: ApiRequest): ApiReply;
}

export function* wrapped<Verdict>(protocol: Protocol<Verdict>, wrapping: Wrapping): Protocol<Verdict> {
  let step = protocol.next();
  while (step.done !== true) {
    const request = step.value;
    const answer = wrapping.instead?.(request) ?? (yield wrapping.request?.(request) ?? request);
    step = protocol.next(wrapping.reply?.(answer, request) ?? answer);
  }
  return step.value;
}

/** Whether this request writes that field of a status. */
export function writes(request: ApiRequest, field: string): boolean {
  if (request.verb === 'replaceStatus') return field in ((request.object as { status?: object }).status ?? {});
  return (
    request.verb === 'patchStatus' && request.patch.some(({ op, path }) => op !== 'test' && path === `/status/${field}`)
  );
}
