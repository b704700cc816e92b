/**
 * The process that the torture kills: the real sidecar in front of the harness's stand-in. Arguments: spool directory,
 * path of the stand-in's socket, mutant. It loads ahead of its life, which begins when the harness names a port (0: any);
 * tells the harness the one it got, and the length of its spool. Ends by itself when it is told to stop.
 *
 * Mutants show that the torture sees what it is for. `answer-before-write`: the spool's writes return at once and
 * happen a few milliseconds later. `check-then-insert`: statuses are written without testing them first.
 */
import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import { connect } from 'node:net';
import { startCallbackServer } from '../../src/callback/server.ts';
import { diskFiles } from '../../src/callback/spool/files.ts';
import type { SpoolFile, SpoolFiles } from '../../src/callback/spool/files.ts';
import type { ApiRequest } from '../../src/core/protocol.ts';
import { tortureKeys } from './keys.ts';
import { standInClient } from './stand-in.ts';

const [spoolDir = '', socketPath = '', mutant = 'none'] = process.argv.slice(2);
const WRITE_DELAY_MS = 5;
/** How long a life that ends by itself drains on: long enough to apply something, short enough to leave something. */
const DRAIN_ON_STOP_MS = 200;

/** What the harness says: begin at this port, end by yourself. */
export type ToSidecar = { port: number } | { stop: true };
/** What it is told. */
export interface FromSidecar {
  loaded?: true;
  port?: number;
  spooled?: number;
  fault?: string;
}

function withoutTests(request: ApiRequest): ApiRequest {
  if (request.verb === 'patchStatus') return { ...request, patch: request.patch.filter(({ op }) => op !== 'test') };
  return request.verb === 'replaceStatus' ? { ...request, object: { ...request.object, metadata: {} } } : request;
}

function lateWrites(file: SpoolFile): SpoolFile {
  return {
    ...file,
    write: async (bytes, position) => {
      setTimeout(() => void file.write(bytes, position).catch(() => undefined), WRITE_DELAY_MS);
    },
    sync: () => Promise.resolve(),
  };
}
const lateFiles: SpoolFiles = { ...diskFiles, create: async (path) => lateWrites(await diskFiles.create(path)) };

const execute = standInClient(() => connect(socketPath));
process.on('disconnect', () => process.exit());
// A process that is killed would not leave what it compiled to the next one.
flushCompileCache();
process.send?.({ loaded: true });
const [{ port }] = (await once(process, 'message')) as [ToSidecar & { port: number }];
const server = await startCallbackServer({
  address: { host: '127.0.0.1', port },
  spoolDir,
  keys: tortureKeys,
  // A life that ends in order waits for idle connections; there are many lives.
  limits: { drainOnStopMs: DRAIN_ON_STOP_MS, keepAliveMs: 50 },
  client: {
    execute: (request) =>
      execute(mutant === 'check-then-insert' ? withoutTests(request as ApiRequest) : (request as ApiRequest)),
  },
  hooks: {
    onResult: () => undefined,
    onLateAnswer: () => undefined,
    onAnswered: () => undefined,
    onVerdict: () => undefined,
    onLetterCreated: () => undefined,
    onDeferred: () => undefined,
    onConnectionDropped: () => undefined,
    onSpoolFault: (fault, code) => process.send?.({ fault: `${fault} ${code}` }),
    onCrash: (place, name) => process.send?.({ fault: `crash in ${place}: ${name}` }),
  },
  ...(mutant === 'answer-before-write' ? { files: lateFiles } : {}),
});
process.on('message', (message: ToSidecar) => {
  if ('stop' in message) void server.stop().then(() => process.exit());
});
process.send?.({ port: server.port });
setInterval(() => process.send?.({ spooled: server.spoolStats().records }), 50);
