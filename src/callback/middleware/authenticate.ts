/**
 * Only tokens that we minted pass. Everything else gets 404 without detail, before a body is read, a byte is written
 * to disk or the Kubernetes API is asked. So does an authentic token for a namespace that this sidecar does not serve:
 * it may not touch that task, so it can neither keep the result nor prove it late. Without keys nothing passes: 503, so
 * that a sender that repeats comes back.
 */
import type { Middleware } from 'koa';
import type { TokenClaims } from '../../core/token.ts';
import { parseToken } from '../../core/token.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

/** The part of the key file that verifying needs. */
export interface TokenVerifier {
  ready(): boolean;
  verify(kid: string, bytes: Uint8Array, mac: Uint8Array): boolean;
}

/** Malformed tokens are checked against this, so that they cost one HMAC like every other. */
const STAND_IN = { kid: '', bytes: new Uint8Array(160), mac: new Uint8Array(18) };

/** The claims of a token that verifies, else undefined. */
export function claimsOf(token: string, keys: TokenVerifier): TokenClaims | undefined {
  const parsed = parseToken(token);
  if (parsed === undefined) {
    keys.verify(STAND_IN.kid, STAND_IN.bytes, STAND_IN.mac);
    return undefined;
  }
  return keys.verify(parsed.claims.kid, parsed.signedBytes, parsed.mac) ? parsed.claims : undefined;
}

export function authenticate(keys: TokenVerifier, namespaces?: readonly string[]): Middleware<CallbackState> {
  return async (ctx, next) => {
    if (!keys.ready()) return answer(ctx, 503, 'lost');
    const claims = claimsOf(ctx.state.token, keys);
    if (claims === undefined) return answer(ctx, 404, 'unauthorized');
    if (namespaces?.includes(claims.namespace) === false) return answer(ctx, 404, 'misrouted');
    ctx.state.claims = claims;
    return next();
  };
}
