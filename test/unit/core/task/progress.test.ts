/** What a task says while what it needs cannot be read. */
import { describe, expect, test } from 'vitest';
import type { FactsChange } from '../../../support/facts.ts';
import { aTask } from '../../../support/builders.ts';
import { MONO0, decideAt } from '../../../support/facts.ts';

const message = 'Secret "a" cannot be read.';
/** It has waited for its turn for a long time. */
const waitingSinceMono = MONO0 - 60_000;

describe.each<[string, (unreadForMs: number) => FactsChange, string]>([
  [
    'the API key',
    (unreadForMs) => ({
      key: { state: 'missing', message, retryInMs: 400, unreadForMs },
      memory: { waitingSinceMono },
    }),
    'MissingAPIKey',
  ],
  [
    'proxy or image',
    (unreadForMs) => {
      const sources = {
        state: 'missing',
        message,
        readMono: MONO0 - 100,
        unreadSinceMono: MONO0 - unreadForMs,
      } as const;
      return { memory: { waitingSinceMono, sources } };
    },
    'Pending',
  ],
])('a task that cannot be told whether it has %s', (_what, change, reason) => {
  test('keeps quiet for two seconds, however long it has waited for its turn', () => {
    expect(decideAt(aTask(), 0, change(1_999))).toMatchObject({ wakeInMs: 400 });
  });
  test('says it after that', () => {
    const { effect } = decideAt(aTask(), 0, change(2_100));
    expect(effect).toMatchObject({ kind: 'writeStatus', status: { conditions: [{ reason, message }, {}, {}] } });
  });
});
