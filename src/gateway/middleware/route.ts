/** Knows the two paths there are, `/in.php` and `/res.php`, by GET and by POST. What else is asked for is not here. */
import { Router, type RouterMiddleware } from '@koa/router';
import type { Middleware } from 'koa';
import type { GatewayState } from '../state.ts';

const ENDPOINTS = { '/in.php': 'submit', '/res.php': 'poll' } as const;

/** The router of both endpoints; they share the middlewares that a request meets next. */
export function routeTo(street: Middleware<GatewayState>[]): RouterMiddleware<GatewayState> {
  const router = new Router<GatewayState>({ sensitive: true, strict: true });
  for (const [path, endpoint] of Object.entries(ENDPOINTS)) {
    const begin: Middleware<GatewayState> = async (ctx, next) => {
      ctx.state.endpoint = endpoint;
      // The router takes HEAD for GET, and no task is made of one.
      await (ctx.method === 'HEAD' ? refuse(ctx, next) : next());
    };
    router.register(path, ['GET', 'POST'], [begin, ...street]);
  }
  return router.routes();
}

/** For what no route took. */
export const refuse: Middleware<GatewayState> = (ctx) => {
  ctx.status = Object.hasOwn(ENDPOINTS, ctx.path) ? 405 : 404;
  if (ctx.status === 405) ctx.set('Allow', 'GET, POST');
  ctx.body = '';
  ctx.state.result = 'unsupported';
};
