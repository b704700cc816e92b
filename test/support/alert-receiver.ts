/** A webhook that Alertmanager posts to: keeps the newest state of every alert. Loopback, closed by the test. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedAlert {
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface AlertReceiver {
  readonly url: string;
  /** Every notification so far, oldest first. */
  readonly received: readonly ReceivedAlert[];
  /** The newest notification of an alert of this name; undefined before the first. */
  latest(alertname: string): ReceivedAlert | undefined;
  close(): Promise<void>;
}

export async function startAlertReceiver(): Promise<AlertReceiver> {
  const received: ReceivedAlert[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      received.push(...(JSON.parse(text) as { alerts: ReceivedAlert[] }).alerts);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    received,
    latest: (name) => received.findLast(({ labels }) => labels['alertname'] === name),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
