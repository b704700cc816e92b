/** Knows the two paths there are, `/in.php` and `/res.php`, by GET and by POST. What else is asked for is not here. */
import type { Middleware } from 'koa';
import type { GatewayState } from '../state.ts';

export const route: Middleware<GatewayState> = async (ctx, next) => {
  const [path] = (ctx.req.url ?? '').split('?', 1);
  if (path !== '/in.php' && path !== '/res.php') return refuse(ctx, 404);
  if (ctx.req.method !== 'GET' && ctx.req.method !== 'POST') return refuse(ctx, 405);
  ctx.state.endpoint = path === '/in.php' ? 'submit' : 'poll';
  return next();
};

function refuse(ctx: Parameters<typeof route>[0], status: number): void {
  ctx.status = status;
  if (status === 405) ctx.set('Allow', 'GET, POST');
  ctx.body = '';
  ctx.state.result = 'unsupported';
}
