/**
 * A provider to test against: a real HTTP server on loopback that answers as CaptchaAI does (provider-api.md), with
 * every misbehaviour of it on request. It is the project's ground truth about the provider; nothing in `src/` outside
 * `dev/` knows that it exists.
 *
 *     const simulator = await startSimulator({ answerAfterMs: 200 });
 *     await simulator.control.script(
 *       { tasks: [{ pingbacks: [] }] },                                  // this one's callback is lost
 *       { field: 'pageurl', equals: 'https://example.com/lost' });
 *     … run the operator with PROVIDER_URL=simulator.url …
 *     (await simulator.control.ledger()).totals.paid                     // what really was submitted
 *     await simulator.stop();
 *
 * Without a script every submission by a 32-character key is accepted, solved after `answerAfterMs`, and announced by
 * one GET pingback where it named a URL. Scripts are chosen by a field of the submission, so that tests that share a
 * simulator do not disturb each other. Where sources about the provider disagree it is several providers: a dialect and
 * a switch for each disagreement (`switches.ts`, docs/simulator.md). As a process: `dev/bin/simulator.ts`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSimulatorControl, type SimulatorControl } from './control.ts';
import { readBody, readFields } from './form.ts';
import { sendText } from './faults.ts';
import { recordUnexpected } from './ledger.ts';
import { handleResult } from './result.ts';
import { controlRoute } from './routes.ts';
import type { SimulatorOptions } from './script.ts';
import { createState, later, stopState, type State } from './state.ts';
import { handleSolve, handleSubmit } from './submit.ts';

export interface Simulator {
  /** Such as `http://127.0.0.1:40123`; the operator's `PROVIDER_URL`. */
  readonly url: string;
  readonly control: SimulatorControl;
  /** Cuts every connection, forgets every timer. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const state = createState(options);
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    void respond(state, server, request, response);
  });
  const port = await listen(server, state.options);
  const url = `http://${HOST}:${port}`;
  return {
    url,
    control: createSimulatorControl(url),
    async stop() {
      stopState(state);
      await close(server);
    },
  };
}

async function respond(
  state: State,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  try {
    if (path.startsWith('/_control/')) await control(state, server, { request, response, route: path.slice(10) });
    else await provide(state, { path, request, response });
  } catch (error) {
    // A client that broke off has nobody to answer; a fault of ours must not pass for one of the provider's.
    if (!response.headersSent && !response.destroyed) response.writeHead(599).end(String(error));
  }
}

interface Call {
  path: string;
  request: IncomingMessage;
  response: ServerResponse;
}

async function provide(state: State, { path, request, response }: Call): Promise<void> {
  state.ledger.totals.requests += 1;
  const fields = await readFields(request, state.switches.jsonBodies === 'read');
  switch (path) {
    case '/in.php':
      return handleSubmit(state, fields, response);
    case '/res.php':
      return handleResult(state, fields, response);
    case '/solve.php':
      return handleSolve(state, fields, response);
    default:
      recordUnexpected(state.ledger, `${request.method} ${path}`);
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html>Not found</html>');
  }
}

async function control(
  state: State,
  server: Server,
  { request, response, route }: { request: IncomingMessage; response: ServerResponse; route: string },
): Promise<void> {
  const body = JSON.parse((await readBody(request)).toString('utf8')) as { forMs?: number };
  if (route === 'outage') {
    response.once('finish', () => goDark(state, server, body.forMs ?? 0));
    return sendText(response, 'null');
  }
  const action = controlRoute(route);
  if (action === undefined) response.writeHead(404).end(`no route ${route}`);
  else sendText(response, JSON.stringify((await action(state, body)) ?? null));
}

function goDark(state: State, server: Server, forMs: number): void {
  const { port } = server.address() as AddressInfo;
  void close(server).then(() => later(state, forMs, () => void listen(server, { ...state.options, port })));
}

function listen(server: Server, { port, host }: { port: number; host: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
