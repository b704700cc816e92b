/** The interpreter of protocols: each request once, each reply back, the verdict out. */
import { expect, test, vi } from 'vitest';
import { runProtocol } from '../../../src/kube/run.ts';
import type { ApiReply, ApiRequest } from '../../../src/kube/types.ts';

const TASKS = { group: 'g', version: 'v1', plural: 'tasks' };
const get = (name: string): ApiRequest => ({ verb: 'get', resource: TASKS, namespace: 'ns', name, read: 'quorum' });
const remove: ApiRequest = { verb: 'delete', resource: TASKS, namespace: 'ns', name: 'a', preconditions: { uid: 'u' } };

function* protocolOf(requests: ApiRequest[]): Generator<ApiRequest, string[], ApiReply> {
  const verdict: string[] = [];
  for (const request of requests) {
    const reply = yield request;
    verdict.push(reply.ok ? 'ok' : reply.reason);
  }
  return verdict;
}

// oxlint-disable-next-line require-yield
function* brokenProtocol(): Generator<ApiRequest, void, ApiReply> {
  throw new Error('a bug');
}

test('sends what the protocol yields, in order, and returns its verdict', async () => {
  const names: string[] = [];
  const client = {
    execute: async (request: ApiRequest): Promise<ApiReply> => {
      if (request.verb === 'get') names.push(request.name);
      return names.length === 1
        ? { ok: true, object: { metadata: { name: 'a' } } }
        : { ok: false, status: 0, reason: 'Timeout', message: '', transient: true, sent: true };
    },
  };
  const seen: unknown[] = [];
  const verdict = await runProtocol(client, protocolOf([get('a'), get('b')]), {
    onObject: (object, request) => seen.push([object.metadata.name, request.verb]),
  });
  expect([verdict, names, seen]).toEqual([['ok', 'Timeout'], ['a', 'b'], [['a', 'get']]]);
});

test('gives each request what is left of the time of all', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const given: (number | undefined)[] = [];
  const client = {
    execute: async (_request: ApiRequest, options?: { timeoutMs?: number | undefined }): Promise<ApiReply> => {
      given.push(options?.timeoutMs);
      vi.advanceTimersByTime(400);
      return { ok: true, object: {} };
    },
  };
  await runProtocol(client, protocolOf([get('a'), get('b'), get('c'), get('d')]), { withinMs: 1_000 });
  await runProtocol(client, protocolOf([get('a')]));
  vi.useRealTimers();
  expect(given).toEqual([1_000, 600, 200, 1, undefined]);
});

test('does not take the answer of a delete for an object', async () => {
  const client = { execute: async (): Promise<ApiReply> => ({ ok: true, object: { kind: 'Status' } }) };
  const seen: unknown[] = [];
  await runProtocol(client, protocolOf([remove]), { onObject: (object) => seen.push(object) });
  expect(seen).toEqual([]);
});

test('lets an exception of the protocol through', async () => {
  const client = { execute: async (): Promise<ApiReply> => ({ ok: true, object: {} }) };
  await expect(runProtocol(client, brokenProtocol())).rejects.toThrow('a bug');
});
