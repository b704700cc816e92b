/**
 * What the middlewares of one request hand on to each other, in `ctx.state`, and the one way to answer. In which order
 * they come stands in `server.ts` (`createApp`), and nowhere else.
 */
import type { ParameterizedContext } from 'koa';
import type { TokenClaims } from '../core/token.ts';
import type { CallbackResult } from './hooks.ts';

export interface CallbackState {
  /** The token as it stands in the path, not decoded. Set by `route`. */
  token: string;
  /** The raw query, without the question mark. Set by `route`. */
  query: string;
  /** Set by `authenticate`: from here on the request is ours. */
  claims?: TokenClaims;
  body?: Uint8Array;
  /** What `observe` counts; `later`: the intake reports the result when it is known. */
  result?: CallbackResult | 'later';
}

export type CallbackContext = ParameterizedContext<CallbackState>;

/** Answers without detail. */
export function answer(ctx: CallbackContext, status: number, result: CallbackResult | 'later'): void {
  ctx.status = status;
  ctx.body = status === 200 ? 'OK\n' : '';
  ctx.state.result = result;
}
