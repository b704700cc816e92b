/**
 * Reads the body, up to its limit, as bytes. Compressed bodies are refused: a few hundred bytes could unfold to any
 * size. A body that is too large closes the connection, because what follows it on the wire was never read.
 */
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import type { Limits } from '../limits.ts';
import type { PollRequests } from '../poll-requests.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function readBody(limits: Limits, pollRequests: PollRequests): Middleware<CallbackState> {
  return async (ctx, next) => {
    const { req } = ctx;
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) return next();
    const coding = req.headers['content-encoding'] ?? 'identity';
    const body = coding === 'identity' ? await collect(req, limits.bodyBytes) : undefined;
    if (body !== undefined) {
      ctx.state.body = body;
      return next();
    }
    ctx.set('Connection', 'close');
    answer(ctx, coding === 'identity' ? 413 : 400, 'invalid');
    return pollRequests.request(ctx.state.token, ctx.state.claims!);
  };
}

/** The whole body, or undefined when it is larger than `maxBytes`. Rejects when the client goes away. */
function collect(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | undefined> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > maxBytes) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    request.on('data', (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > maxBytes) {
        request.pause();
        resolve(undefined);
      } else {
        chunks.push(chunk);
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new Error('the client went away')));
  });
}
