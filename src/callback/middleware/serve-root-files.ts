/**
 * Serves the files of `CALLBACK_ROOT_FILES` from memory: GET and HEAD of exactly `/<name>`, compared as it was sent, so
 * that no spelling of a path leads anywhere else. Runs before `route` and counts nothing: whoever asks for such a file
 * has not lost his way. Everything else goes on to `route`.
 */
import type { Middleware } from 'koa';
import type { RootFiles } from '../root-files.ts';
import type { CallbackState } from '../state.ts';

export function serveRootFiles(files: RootFiles): Middleware<CallbackState> {
  return async (ctx, next) => {
    const [path = ''] = (ctx.req.url ?? '').split('?', 1);
    const content = path.startsWith('/') ? files.contentOf(path.slice(1)) : undefined;
    if (content === undefined) return next();
    if (ctx.req.method !== 'GET' && ctx.req.method !== 'HEAD') {
      ctx.status = 405;
      ctx.set('Allow', 'GET, HEAD');
      ctx.body = '';
      return undefined;
    }
    ctx.status = 200;
    ctx.set('Content-Type', 'text/plain');
    ctx.set('X-Content-Type-Options', 'nosniff');
    // A new code must not wait for a cache in front to forget the old one.
    ctx.set('Cache-Control', 'no-cache');
    ctx.body = content;
    return undefined;
  };
}
