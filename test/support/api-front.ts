/**
 * A front before the API server that can hold back what watches of one resource tell, so that a process's cache lags
 * for as long as a test wants while its reads and writes go through. It also keeps the books of who asked for what, and
 * can serve requests as a slower server would.
 * Speaks plain HTTP on loopback and passes credentials on as they come.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { access } from './cluster.ts';

export interface ApiFront {
  /** The operator's kubeconfig, with this front as its server. */
  kubeconfig: string;
  /** Watches of this resource go silent; what they would have told is kept. */
  hold(plural: string): void;
  release(): void;
  /** `METHOD path` of the requests so far whose User-Agent contains a text. */
  asked(userAgent: string): string[];
  stop(): Promise<void>;
}

export interface FrontRequest {
  method: string;
  url: string;
  userAgent: string;
}

export interface FrontOptions {
  /** Resolves when the request may go on to the API server; what it resolves with is called once that has answered. */
  service?: (request: FrontRequest) => Promise<() => void>;
}

interface Watch {
  plural: string;
  to: ServerResponse;
  kept: Buffer[];
}

export async function startApiFront({ service }: FrontOptions = {}): Promise<ApiFront> {
  const agent = new Agent({ ca: readFileSync(access.caFile), keepAlive: true });
  const target = new URL(access.serverURL);
  const books: { line: string; userAgent: string }[] = [];
  const watches = new Set<Watch>();
  let held: string | undefined;

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = '', url = '/' } = incoming;
    const userAgent = incoming.headers['user-agent'] ?? '';
    books.push({ line: `${method} ${url}`, userAgent });
    const served = await service?.({ method, url, userAgent });
    const { host: _host, ...headers } = incoming.headers;
    const options = { agent, host: target.hostname, port: target.port, method, path: url, headers };
    const onward = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      const watch = { plural: /\/([a-z]+)\?.*watch=true/.exec(url)?.[1] ?? '', to: outgoing, kept: [] as Buffer[] };
      if (watch.plural !== '') watches.add(watch);
      answer.on('data', (chunk: Buffer) => {
        if (watch.plural !== '' && watch.plural === held) watch.kept.push(chunk);
        else outgoing.write(chunk);
      });
      answer.once('close', () => {
        served?.();
        outgoing.end();
      });
    });
    onward.once('error', () => outgoing.destroy());
    outgoing.once('close', () => onward.destroy());
    incoming.pipe(onward);
  };
  const server = createServer((incoming, outgoing) => void serve(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const directory = await mkdtemp(join(tmpdir(), 'api-front-'));
  const kubeconfig = join(directory, 'kubeconfig');
  const original = await readFile(access.operatorKubeconfig, 'utf8');
  await writeFile(kubeconfig, original.replaceAll(access.serverURL, `http://127.0.0.1:${port}`), { mode: 0o600 });
  return {
    kubeconfig,
    hold: (plural) => {
      held = plural;
    },
    release: () => {
      held = undefined;
      for (const { to, kept } of watches) for (const chunk of kept.splice(0)) to.write(chunk);
    },
    asked: (userAgent) => books.filter((entry) => entry.userAgent.includes(userAgent)).map(({ line }) => line),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
