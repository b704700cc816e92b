/** What takes minutes: every pause at every length, a watch that is frozen under load, a journal that is full. */
import { setTimeout as delay } from 'node:timers/promises';
import { MAX_JOURNAL_BYTES } from '../../../src/core/journal/entry.ts';
import type { Cell } from '../cell.ts';
import { calls, either } from '../requests.ts';
import { pausePoint } from './paused.ts';
import type { Row } from './point.ts';
import { dieAtWrites } from './sidecar.ts';

const UNTIL = ['taken over', 'put it into status', 'called again', 'finished the task'] as const;

/** 2 s are within the fence of a right, 6 s are beyond it, and after 60 s the Lease is another's as well. */
const pauses = [2, 6, 60].flatMap((seconds) =>
  (['before', 'after'] as const).map((journal): [string, Row] => [
    `paused-${seconds}-${journal}`,
    UNTIL.map((until) => pausePoint({ journal, until, seconds })),
  ]),
);

const NO_ENTRY = /journal takes no entry/;

async function untilNoEntry(cell: Cell): Promise<void> {
  await cell.life.line('the journal to take no entry', (line) => NO_ENTRY.test(String(line['rule'])));
}

const many = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}-${at}`);

/** Frozen for so long after the journal has taken its last entry. */
const FROZEN_MS = 30_000;

const FROZEN: Row = [
  {
    name: '12: a watch is frozen for 30 s while 60 tasks wait: what was written and not seen stops new entries',
    async run(cell) {
      await cell.succeed(undefined, { LOG_LEVEL: 'debug', MAX_CONCURRENT_SUBMISSIONS: '1' });
      const names = many(60, 'waits');
      const pages = either(...names.map((name) => calls(cell.page(name))));
      const spec = { apiKeySecretRef: { name: 'later', key: 'key' } };
      const script = { submit: [{ accept: true as const, delayMs: 500 }] };
      for (const name of names) await cell.apply(name, { paid: 1 }, { spec, script });
      for (const name of names) await cell.until(name, 'waits', ({ status }) => status?.startTime !== undefined);
      const { api, provider } = cell.life;
      api.freeze();
      const secret = {
        kind: 'Secret',
        metadata: { name: 'later' },
        stringData: { key: 'later1key1later1key1later1key111' },
      };
      await cell.ground.admin.create(`/api/v1/namespaces/${cell.namespace}/secrets`, secret);
      await untilNoEntry(cell);
      const before = provider.count(pages);
      await delay(FROZEN_MS);
      const after = provider.count(pages);
      // One may have been entered already.
      if (before === 0 || after > before + 1) throw new Error(`${after} calls, ${before} before`);
      api.thaw();
    },
  },
];

const FULL: Row = [
  {
    name: '14: the journal has no room for more of one namespace: they wait, and go on when it has',
    async run(cell) {
      await cell.succeed(undefined, { LOG_LEVEL: 'debug', MAX_CONCURRENT_SUBMISSIONS: '400' });
      await cell.prime();
      const names = many(220, 'n'.repeat(240));
      const held = names.map((name) => cell.life.provider.stop('after', calls(cell.page(name))));
      for (const name of names) await cell.apply(name, { paid: 'counted' });
      await untilNoEntry(cell);
      const text = (await cell.journal())?.join('\n') ?? '';
      if (text.length > MAX_JOURNAL_BYTES || text.length < MAX_JOURNAL_BYTES / 4)
        throw new Error(`it holds ${text.length} bytes`);
      for (const one of held) void one.then((stopped) => stopped.release());
    },
  },
];

const SIDECAR: Row = [
  {
    name: '11: before the write of each kind, for tasks with a status',
    run: (cell) => dieAtWrites(cell, 'before', true),
  },
  {
    name: '11/u: the same, made and its reply unread, for tasks without',
    run: (cell) => dieAtWrites(cell, 'after', false),
  },
];

export const LONG: Readonly<Record<string, Row>> = {
  ...Object.fromEntries(pauses),
  frozen: FROZEN,
  full: FULL,
  'sidecar-long': SIDECAR,
};
