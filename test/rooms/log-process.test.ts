/** What reaches the reader of a real process's stdout, however the process ends. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../support/log-process.ts', import.meta.url));

async function messagesOf(end: string): Promise<string[]> {
  const child = spawn(process.execPath, [SCRIPT, end], { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
}

test.each(['return', 'exit', 'throw'])('every line, in order, when it ends by %s', async (end) => {
  expect(await messagesOf(end)).toEqual(['first', 'second', 'third']);
});

test('everything up to the last warning when it is killed', async () => {
  expect(await messagesOf('killAtTheWarning')).toEqual(['first', 'second']);
});

test('more than a pipe holds', async () => {
  expect(await messagesOf('manyLines')).toHaveLength(5_003);
});
