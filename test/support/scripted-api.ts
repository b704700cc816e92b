/**
 * An API server that does what a test tells it: one handler for every request, on a real TLS socket, with a count of
 * connections. For the rooms of kube/; what a real kube-apiserver answers is tested in the cluster tier.
 */
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createAccess } from '../../src/kube/access.ts';
import type { Access } from '../../src/kube/access.ts';
import type { Credentials } from '../../src/kube/credentials.ts';

export interface ScriptedRequest {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

export type ScriptedHandler = (request: ScriptedRequest, response: ServerResponse) => void;

export interface ScriptedApi {
  server: string;
  /** Connections that were ever opened. */
  connections(): number;
  requests: ScriptedRequest[];
  /** Takes effect for the next request. */
  handle(handler: ScriptedHandler): void;
  /** Cuts every open connection. */
  cut(): void;
  access(credentials?: () => Partial<Credentials>): Promise<Access>;
  close(): Promise<void>;
}

/** @param port 0 for any free one */
export async function startScriptedApi(handler: ScriptedHandler, port = 0): Promise<ScriptedApi> {
  const sockets = new Set<Socket>();
  const requests: ScriptedRequest[] = [];
  let current = handler;
  let connections = 0;
  const server = createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('error', () => {});
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'https://scripted');
      const request = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      };
      requests.push(request);
      current(request, response);
    });
  });
  server.on('secureConnection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    server: address,
    connections: () => connections,
    requests,
    handle(next) {
      current = next;
    },
    cut,
    access: (credentials) =>
      createAccess({
        server: address,
        namespace: undefined,
        read: async () => ({ authorization: 'Bearer test', tls: { ca: TEST_CERTIFICATE }, ...credentials?.() }),
      }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

/** Answers JSON. */
export function answer(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** A port on which nobody listens at this moment. */
export async function freePort(): Promise<number> {
  const api = await startScriptedApi((_request, response) => response.end());
  await api.close();
  return Number(new URL(api.server).port);
}

/** Made for these tests, for localhost and 127.0.0.1, worth nothing anywhere else. */
const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQvyAUAtauUJTfozi
mkxcuM2zUYp4K3yu3yf0zEFWVKihRANCAARZw/G8Z9liqH+NPipPcztmjhWTjx/k
oBdmkgmCuOVDMESTIDeHV59q4s93WX27IqcFXul1iSKKY+1ve6bJOBZ2
-----END PRIVATE KEY-----
`;
export const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUQ2FpcBjO8IgGAEyNMfeD9qsHdSowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE0Mjc1NFoYDzIxMjYxMDI5
MTQyNzU0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARZw/G8Z9liqH+NPipPcztmjhWTjx/koBdmkgmCuOVDMESTIDeHV59q
4s93WX27IqcFXul1iSKKY+1ve6bJOBZ2o28wbTAdBgNVHQ4EFgQUxKNt6ENMPEMf
QGHuFFCVim+swSAwHwYDVR0jBBgwFoAUxKNt6ENMPEMfQGHuFFCVim+swSAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgTLLLERxA3Hq7Z0UY5lnj6SwP5vkGB4Icbjna2YnkWE0CIQCp
BU/ZuVv8mycpRJur4KI+SVDQ/tjSsyDJdfdBMzxCAQ==
-----END CERTIFICATE-----
`;
