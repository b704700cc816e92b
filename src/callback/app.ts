/**
 * Assembles the Koa application: the chain of middlewares in the order in which a request meets them. Wiring only.
 */
import Koa from 'koa';
import type { CallbackHooks } from './hooks.ts';
import type { Intake } from './intake.ts';
import type { Limits } from './limits.ts';
import { authenticate } from './middleware/authenticate.ts';
import type { TokenVerifier } from './middleware/authenticate.ts';
import { limitHead } from './middleware/limit-head.ts';
import { limitInFlight } from './middleware/limit-in-flight.ts';
import { observe } from './middleware/observe.ts';
import { readBody } from './middleware/read-body.ts';
import { receive } from './middleware/receive.ts';
import { refusePipelined } from './middleware/refuse-pipelined.ts';
import { route } from './middleware/route.ts';
import { serveRootFiles } from './middleware/serve-root-files.ts';
import { shield } from './middleware/shield.ts';
import type { PollRequests } from './poll-requests.ts';
import type { RootFiles } from './root-files.ts';
import type { CallbackState } from './state.ts';

export interface AppParts {
  keys: TokenVerifier;
  namespaces?: readonly string[] | undefined;
  rootFiles?: RootFiles | undefined;
  intake: Intake;
  pollRequests: PollRequests;
  hooks: CallbackHooks;
  limits: Limits;
}

export function createApp(parts: AppParts): Koa<CallbackState> {
  const app = new Koa<CallbackState>();
  // `shield` answers for errors; Koa's own handler would print them with their stacks.
  app.silent = true;
  app.use(observe(parts.hooks));
  app.use(shield(parts.hooks));
  if (parts.rootFiles !== undefined) app.use(serveRootFiles(parts.rootFiles));
  app.use(route);
  app.use(limitInFlight(parts.limits));
  app.use(authenticate(parts.keys, parts.namespaces));
  app.use(refusePipelined);
  app.use(limitHead(parts.limits, parts.pollRequests));
  app.use(readBody(parts.limits, parts.pollRequests));
  app.use(receive(parts.intake, parts.pollRequests));
  return app;
}
