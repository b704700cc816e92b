/**
 * Only keys of the file pass; the namespace of a request is that of its key, and nothing else in it can change that.
 * What is refused costs no API call. Without keys nobody passes, and the word is that of a fault of the server, so that
 * clients do not take their own key for a wrong one.
 */
import type { Middleware } from 'koa';
import { KEY_LENGTH, type GatewayKeys } from '../keys.ts';
import { answerWord, type GatewayState } from '../state.ts';

export function authenticate(keys: Pick<GatewayKeys, 'ready' | 'namespaceOf'>): Middleware<GatewayState> {
  return async (ctx, next) => {
    if (!keys.ready()) return answerWord(ctx, 'ERROR_INTERNAL_SERVER_ERROR', 'error', 'no keys are loaded');
    const key = ctx.state.fields.get('key') ?? '';
    if (key.length !== KEY_LENGTH) return answerWord(ctx, 'ERROR_WRONG_USER_KEY', 'unauthorized');
    const namespace = keys.namespaceOf(key);
    if (namespace === undefined) return answerWord(ctx, 'ERROR_KEY_DOES_NOT_EXIST', 'unauthorized');
    ctx.state.namespace = namespace;
    return next();
  };
}
