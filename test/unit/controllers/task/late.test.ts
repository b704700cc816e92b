/** `Submitted` of first submissions while requests queue: ids in the journal, status last in line or not at all. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { CAPTCHA_TASK, CONFIG_MAP } from '../../../../src/api/names.ts';
import { parseEntries } from '../../../../src/core/journal/entry.ts';
import { solved } from '../../../../src/core/task/transitions.ts';
import { aTask } from '../../../support/builders.ts';
import { outage, refusal } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const names = (count: number) => Array.from({ length: count }, (_, index) => `task-${index}`);
const fresh = (name: string) => aTask().named(name).uid(`uid-${name}`).created(Date.now());
const entries = () =>
  parseEntries(stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal')?.data?.['entries'] ?? '');
const idsInJournal = () => entries().flatMap(({ captchaID }) => captchaID ?? []);
const isRecord = (request: ApiRequest) =>
  request.verb === 'replaceStatus' && (request.object as { status: { phase?: string } }).status.phase === 'Submitted';

/** Requests queue until this says otherwise. */
async function startCrowded(): Promise<(queue: boolean) => void> {
  stage = await startStage();
  let isQueueing = true;
  stage.client.queueing = () => isQueueing;
  stage.answer = ({ pingback }) => ({ kind: 'accepted', captchaID: /(\d+)\.1$/.exec(pingback ?? '')?.[1] ?? '0' });
  return (queue) => {
    isQueueing = queue;
  };
}

async function untilInJournal(count: number): Promise<void> {
  await waitUntil('all ids to be in the journal', () => idsInJournal().length === count, { everyMs: 1 });
}

function solve(name: string): void {
  const task = stage.task(name);
  if (task === undefined) throw new Error(`no task ${name}`);
  const solution = { value: 'v', source: 'Callback', attempt: 1, captchaID: '1', receivedTime: '2026-01-01T00:00:00Z' };
  const status = solved(task, solution as Parameters<typeof solved>[1], Date.now());
  stage.write({ ...status, attempts: 1 }, name);
}

describe('while requests queue', () => {
  test('a task that its callback solves meanwhile costs the operator no status write and no read', async () => {
    await startCrowded();
    let reads = 0;
    stage.client.fate = ({ verb, resource }) => {
      if (verb === 'get' && resource.plural === CAPTCHA_TASK.plural) reads += 1;
      return undefined;
    };
    for (const name of names(5)) stage.apply(fresh(name));
    await untilInJournal(5);
    for (const name of names(5)) solve(name);
    stage.apply(fresh('next'));
    await waitUntil('their entries to go with the next write', () => entries().every(({ name }) => name === 'next'));
    expect(reads).toBe(0);
    expect(stage.phases()).toEqual([]);
    expect(stage.submissions).toHaveLength(6);
  });

  test('intents and ids share the writes of the journal', async () => {
    await startCrowded();
    for (const name of names(32)) stage.apply(fresh(name));
    await untilInJournal(32);
    const writes = stage.api.writes.filter(({ resource }) => resource.plural === CONFIG_MAP.plural);
    expect(writes.length).toBeLessThan(20);
    expect(stage.phases()).toEqual([]);
  });

  test('the provider’s acceptance is logged when it is durable, and once', async () => {
    const queue = await startCrowded();
    stage.apply(fresh('task-0'));
    await untilInJournal(1);
    queue(false);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-0');
    expect(stage.logged.filter((line) => line.startsWith('A task was submitted'))).toHaveLength(1);
  });
});

describe('`Submitted` that has yielded', () => {
  test('is written when nothing queues any more, the oldest first, and then the entries may go', async () => {
    const queue = await startCrowded();
    for (const name of names(6)) {
      stage.apply(fresh(name));
      await waitUntil('its id', () => entries().some((entry) => entry.name === name && entry.captchaID !== undefined));
    }
    queue(false);
    for (const name of names(6)) await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', name);
    const written = stage.api.writes.filter((request) => isRecord(request));
    expect(written.map((request) => 'name' in request && request.name)).toEqual(names(6));
    expect(await stage.controller.stop({ drainMs: 5_000 })).toBe(0);
    expect(entries()).toEqual([]);
  });

  test('is written by a process that loses the lead', async () => {
    await startCrowded();
    stage.apply(fresh('task-7'));
    await untilInJournal(1);
    stage.lead(false);
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-7');
    expect(task.status?.submission?.captchaID).toBe('7');
  });

  test('is written by a process that loses the journal to another', async () => {
    await startCrowded();
    stage.apply(fresh('task-7'));
    await untilInJournal(1);
    const journal = stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal');
    stage.api.seed(CONFIG_MAP.plural, { ...journal, data: { ...journal?.data, holder: 'operator-b' } });
    stage.apply(fresh('task-8'));
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-7');
    expect(task.status?.submission?.captchaID).toBe('7');
    expect(stage.task('task-8')?.status).toBeUndefined();
  });

  test('is written at a stop, and the journal is empty then', async () => {
    await startCrowded();
    for (const name of names(9)) stage.apply(fresh(name));
    await untilInJournal(9);
    expect(await stage.controller.stop({ drainMs: 5_000 })).toBe(0);
    expect(stage.phases()).toEqual(names(9).map(() => 'Submitted'));
    expect(entries()).toEqual([]);
  });

  test('is written after a while, whatever queues', async () => {
    let aheadMs = 0;
    const clock = { now: () => Date.now(), monotonicMs: () => performance.now() + aheadMs, random: () => 0.5 };
    stage = await startStage({ clock });
    stage.client.queueing = () => true;
    stage.apply(fresh('task-0'));
    await untilInJournal(1);
    expect(stage.phases()).toEqual([]);
    aheadMs = 10_000;
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-0');
  });

  test('is repeated where it fails, and keeps no other waiting', async () => {
    const queue = await startCrowded();
    stage.api.faults = [
      (request) => (isRecord(request) && 'name' in request && request.name !== 'task-9' ? outage(false) : undefined),
    ];
    for (const name of names(10)) stage.apply(fresh(name));
    await untilInJournal(10);
    queue(false);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-9');
    stage.api.faults = [];
    for (const name of names(9)) await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', name);
  });
});

test('a task that a read has shown to be gone is not submitted again, whatever the watch still tells of it', async () => {
  const queue = await startCrowded();
  stage.apply(fresh('task-7'));
  await untilInJournal(1);
  stage.client.deaf = true;
  stage.remove('task-7');
  queue(false);
  await waitUntil('the cache to have lost it', () => stage.controller.task('default', 'task-7') === undefined);
  stage.client.deaf = false;
  stage.apply(fresh('task-8'));
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-8');
  expect(entries().map(({ name }) => name)).not.toContain('task-7');
  stage.apply(fresh('task-7'));
  await waitUntil('the cache to have it again', () => stage.controller.task('default', 'task-7') !== undefined);
  stage.apply(fresh('task-9'));
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-9');
  expect(stage.submissions).toHaveLength(3);
});

describe('an id goes into status', () => {
  test('where the journal cannot be written', async () => {
    await startCrowded();
    let written = 0;
    stage.api.faults = [
      ({ verb, resource }) => {
        const isJournal = resource.plural === CONFIG_MAP.plural;
        if (!isJournal || (verb === 'replace' && (written += 1) === 1)) return undefined;
        return written > 0 ? refusal(403, 'Forbidden') : undefined;
      },
    ];
    stage.apply(fresh('task-7'));
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-7');
    expect(task.status?.submission?.captchaID).toBe('7');
    expect(stage.submissions).toHaveLength(1);
    stage.api.faults = [];
  });

  test('or the journal, where the reply of the write that brings it was lost', async () => {
    const queue = await startCrowded();
    let lost = 0;
    stage.client.fate = (request) => {
      const brings = request.verb === 'replace' && JSON.stringify(request.object).includes('pingback 7');
      return brings && (lost += 1) === 1 ? 'replyLost' : undefined;
    };
    stage.apply(fresh('task-7'));
    await untilInJournal(1);
    queue(false);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-7');
    expect(stage.phases()).toEqual(['Submitted']);
  });

  test('of a task that is in the journal with an id when this process takes over', async () => {
    await startCrowded();
    stage.lead(false);
    stage.apply(fresh('task-7'));
    const journal = stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal');
    const line = 'uid-task-7 default/task-7 operator-z/1 2026-01-01T00:00:00Z pingback 7\n';
    stage.api.seed(CONFIG_MAP.plural, { ...journal, data: { holder: 'operator-z', entries: line } });
    stage.lead(true);
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'task-7');
    expect(task.status?.submission).toMatchObject({ captchaID: '7', intentBy: 'operator-z/1' });
    expect(stage.submissions).toHaveLength(0);
  });
});
