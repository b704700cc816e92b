/**
 * The process that the torture kills: the real sidecar in front of the harness's stand-in. Arguments: spool directory,
 * path of the stand-in's socket, port (0: any), mutant. Tells the harness its port, and the length of its spool.
 *
 * Mutants show that the torture sees what it is for. `answer-before-write`: the spool's writes return at once and
 * happen a few milliseconds later. `check-then-insert`: statuses are written without testing them first.
 */
import { connect } from 'node:net';
import { startCallbackServer } from '../../src/callback/server.ts';
import { diskFiles } from '../../src/callback/spool/files.ts';
import type { SpoolFile, SpoolFiles } from '../../src/callback/spool/files.ts';
import type { ApiRequest } from '../../src/core/protocol.ts';
import { tortureKeys } from './keys.ts';
import { standInClient } from './stand-in.ts';

const [spoolDir = '', socketPath = '', port = '0', mutant = 'none'] = process.argv.slice(2);
const WRITE_DELAY_MS = 5;

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
const server = await startCallbackServer({
  address: { host: '127.0.0.1', port: Number(port) },
  spoolDir,
  keys: tortureKeys,
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
process.send?.({ port: server.port });
setInterval(() => process.send?.({ spooled: server.spoolStats().records }), 50);
process.on('disconnect', () => process.exit());
