/**
 * Sends a reply, or one of the ways a reply can go wrong (`FAULTS`). Every fault happens to a real socket; none is a
 * mock. Connections left open (`hang`, `slowBody`) end with the client or with the server's `closeAllConnections`.
 */
import type { ServerResponse } from 'node:http';
import type { Fault, FaultName } from './script.ts';

const PAGE = '<html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>';
const TEN_MEGABYTES = 10 * 1024 * 1024;
const SLOW_BYTE_MS = 250;

export function sendText(response: ServerResponse, text: string, type = 'application/json'): void {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** A reply of the API itself, in the form that was asked for. */
export function sendReply(response: ServerResponse, text: string, json: boolean): void {
  sendText(response, text, json ? 'application/json' : 'text/plain');
}

/** A gateway's page in place of a reply. */
export function sendPage(response: ServerResponse, status: number): void {
  page(status)(response, '', {});
}

/** `text` is the reply that a healthy connection would have carried. */
export function sendFault(response: ServerResponse, fault: Fault, text: string): void {
  SENDERS[fault.fault](response, text, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter });
}

type Sender = (response: ServerResponse, text: string, headers: Record<string, string>) => void;

const page =
  (status: number): Sender =>
  (response, _text, headers) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers });
    response.end(PAGE);
  };

const half = (text: string): string => text.slice(0, Math.max(1, text.length >> 1));

/** Promises the whole reply, sends half of it, then does `end` to the socket. */
const cut =
  (end: (response: ServerResponse) => void): Sender =>
  (response, text) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.write(half(text), () => end(response));
  };

const SENDERS: Readonly<Record<FaultName, Sender>> = {
  reset: (response) => response.socket?.resetAndDestroy(),
  resetInBody: cut((response) => response.socket?.resetAndDestroy()),
  shortBody: cut((response) => response.socket?.destroy()),
  hang: () => undefined,
  slowBody: (response, text) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(text.slice(sent, sent + 1));
      sent += 1;
      if (sent >= text.length) response.end();
    }, SLOW_BYTE_MS);
    response.once('close', () => clearInterval(timer));
    response.once('finish', () => clearInterval(timer));
  },
  html500: page(500),
  html502: page(502),
  html200: page(200),
  http400: page(400),
  http404: page(404),
  http429: page(429),
  http503: page(503),
  redirect: (response) => {
    response.writeHead(302, { location: '/moved' });
    response.end();
  },
  truncatedJson: (response, text) => sendText(response, half(text)),
  wrongContentType: (response, text) => sendText(response, text, 'image/png'),
  badGzip: (response, text) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
    response.end(text);
  },
  garbage: (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(Buffer.from([0xff, 0xfe, 0x00, 0x7b, 0x22, 0xc3, 0x28, 0x80, 0x81]));
  },
  notHttp: (response) => response.socket?.end('SSH-2.0-OpenSSH_9.9\r\n'),
  empty: (response) => sendText(response, ''),
  huge: (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': TEN_MEGABYTES });
    response.end(`{"status":1,"request":"${'x'.repeat(TEN_MEGABYTES - 25)}"}`);
  },
};
