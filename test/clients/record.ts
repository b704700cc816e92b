/**
 * Records what each client sends for the types that we have too: `node test/clients/record.ts` writes
 * `test/fixtures/client-bodies.json`, which the page docs/provider-clients.md is made from. The tests of this tier fail
 * where a client sends something else than was recorded. Keys are left out; the values are those of `values.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonWithClients } from './python.ts';
import { CLIENTS, runClient, type ClientName, type Outcome } from './run.ts';

const FILE = join(import.meta.dirname, '../fixtures/client-bodies.json');

export interface RecordedBody {
  /** `GET`, or `POST` with the kind of its body. */
  sent: string;
  /** How its result was asked for. */
  polled: string;
  fields: Record<string, string>;
}

/** By client, then by type. */
export type RecordedBodies = Record<ClientName, Record<string, RecordedBody>>;

export function recordedBodies(): RecordedBodies {
  return JSON.parse(readFileSync(FILE, 'utf8')) as RecordedBodies;
}

/** What the client sent for each type that has a `spec` of ours. */
export function bodiesOf(outcomes: readonly Outcome[]): Record<string, RecordedBody> {
  const comparable = outcomes.filter(({ call }) => call.spec !== undefined);
  return Object.fromEntries(comparable.map((outcome) => [outcome.call.name, bodyOf(outcome)]));
}

function bodyOf({ call, line, error }: Outcome): RecordedBody {
  if (line === undefined) throw new Error(`${call.name}: ${error ?? 'not in the books'}`);
  const fields = Object.entries(line.fields).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { sent: line.sent, polled: line.polls[0]?.sent ?? '', fields: Object.fromEntries(fields) };
}

if (import.meta.main) {
  const python = await pythonWithClients(process.env, console.error);
  if ('missing' in python) throw new Error(python.missing);
  const bodies: Partial<RecordedBodies> = {};
  for (const client of CLIENTS) bodies[client] = bodiesOf(await runClient(client, python.path));
  writeFileSync(FILE, `${JSON.stringify(bodies, null, 2)}\n`);
}
