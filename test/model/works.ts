/**
 * Runs protocols other than steps, which can be left and taken up again in another direction: `next` is the request that a protocol makes
 * after these replies, or its verdict. Computed by replaying the generator, once for each beginning.
 */
import type { ApiReply, ApiRequest, Protocol } from '../../src/core/protocol.ts';
import { type Handle, intern } from './intern.ts';
import type { Protocols } from './product.ts';
import { type Work, keyOfWork } from './state.ts';

export type Next = { request: Handle<ApiRequest>; verdict?: undefined } | { request?: undefined; verdict: unknown };

export interface Works {
  next(work: Work): Next;
}

export function createWorks(protocols: Protocols): Works {
  const known = new Map<string, Next>();
  return {
    next(work) {
      const key = keyOfWork(work);
      const before = known.get(key);
      if (before !== undefined) return before;
      const start = protocols[work.name as keyof Protocols] as (args: object) => Protocol<unknown>;
      const next = replay(start(work.args.value), work);
      known.set(key, next);
      return next;
    },
  };
}

function replay(protocol: Protocol<unknown>, { replies }: Work): Next {
  let step = protocol.next();
  for (const reply of replies) {
    if (step.done === true) break;
    step = protocol.next(reply.value);
  }
  return step.done === true ? { verdict: step.value } : { request: intern(step.value) };
}

export function told(work: Work, reply: Handle<ApiReply>): Work {
  return { ...work, replies: [...work.replies, reply] };
}

export function begun(name: keyof Protocols, args: object): Work {
  return { name, args: intern(args), replies: [] };
}
