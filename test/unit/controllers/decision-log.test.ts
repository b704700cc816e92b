import { expect, test } from 'vitest';
import { logDecisions } from '../../../src/controllers/decision-log.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { aTask } from '../../support/builders.ts';
import { startStage } from '../../support/task-controller.ts';
import { waitUntil } from '../../support/wait-until.ts';

function logAt(level: 'debug' | 'info') {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const tell = logDecisions(createLogger({ level, component: 'operator', write }), 'Decided about a task');
  return { lines, tell };
}

test('a line names the object, the rule and what follows, and nothing of what an effect carries', () => {
  const { lines, tell } = logAt('debug');
  tell?.('team-a/login', { rule: 'a rule', effect: { kind: 'submit', url: 'https://secret.example' } as never });
  tell?.('team-a/login', { rule: 'another rule', wakeInMs: 400 });
  expect(lines).toMatchObject([
    {
      level: 'debug',
      msg: 'Decided about a task',
      namespace: 'team-a',
      name: 'login',
      rule: 'a rule',
      effect: 'submit',
    },
    { rule: 'another rule', wakeInMs: 400 },
  ]);
  expect(JSON.stringify(lines)).not.toContain('secret.example');
});

test('what was decided about an object the last time is not said again', () => {
  const { lines, tell } = logAt('debug');
  for (const wakeInMs of [400, 300, 200]) tell?.('team-a/login', { rule: 'waits', wakeInMs });
  tell?.('team-a/other', { rule: 'waits', wakeInMs: 400 });
  tell?.('team-a/login', { rule: 'waits', effect: { kind: 'writeStatus' } });
  tell?.('team-a/login', { rule: 'waits', wakeInMs: 100 });
  expect(lines.map(({ name, effect }) => [name, effect])).toEqual([
    ['login', undefined],
    ['other', undefined],
    ['login', 'writeStatus'],
    ['login', undefined],
  ]);
});

test('nothing is called for a level that is not written', () => {
  expect(logAt('info').tell).toBeUndefined();
});

test('why a task waits is in the log of the running controller', async () => {
  const stage = await startStage();
  const unread = aTask().spec({ apiKeySecretRef: { name: 'own-key', key: 'key' } });
  stage.apply(unread);
  const why = /^Decided about a task .*"name":"login","rule":"a task without an API key waits/;
  await waitUntil('the rule to be logged', () => stage.logged.some((line) => why.test(line)));
  await stage.controller.stop({ drainMs: 100 });
});
