import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';

import { configFaultText, runProcess } from '../../../src/ops/lifecycle.ts';
import type { Lifecycle } from '../../../src/ops/lifecycle.ts';
import { createLogger } from '../../../src/ops/log.ts';

async function start(main: (lifecycle: Lifecycle, steps: string[]) => Promise<void> | void) {
  const source = new EventEmitter();
  const steps: string[] = [];
  const log: Record<string, unknown>[] = [];
  const write = (line: string): void => void log.push(JSON.parse(line) as Record<string, unknown>);
  const logger = createLogger({ level: 'debug', component: 'operator', write });
  const ended = Promise.withResolvers<number>();
  const exit = (code: number): void => {
    steps.push(`exit ${code}`);
    ended.resolve(code);
  };
  await runProcess({ logger, source, exit }, async (lifecycle) => main(lifecycle, steps));
  return { source, steps, log, ended: ended.promise };
}

describe('a process', () => {
  test.each(['SIGTERM', 'SIGINT'])('releases in reverse order after %s and ends with 0', async (signal) => {
    const { source, steps, ended } = await start((lifecycle, steps) => {
      lifecycle.onStop('lease', 1_000, () => void steps.push('lease'));
      lifecycle.onStop('queue', 1_000, async () => {
        await Promise.resolve();
        steps.push('queue');
      });
      lifecycle.signal.addEventListener('abort', () => steps.push('aborted'));
    });
    source.emit(signal);
    expect(await ended).toBe(0);
    expect(steps).toEqual(['aborted', 'queue', 'lease', 'exit 0']);
  });

  test('runs every release once, however often it is told to stop', async () => {
    const { source, steps, ended } = await start((lifecycle, steps) => {
      lifecycle.onStop('x', 1_000, () => void steps.push('x'));
    });
    source.emit('SIGTERM');
    source.emit('SIGTERM');
    source.emit('SIGINT');
    await ended;
    expect(steps).toEqual(['x', 'exit 0']);
  });

  test('passes over a release that fails or takes too long', async () => {
    const { source, steps, log, ended } = await start((lifecycle, steps) => {
      lifecycle.onStop('first', 1_000, () => void steps.push('first'));
      lifecycle.onStop('stuck', 10, () => new Promise(() => {}));
      lifecycle.onStop('broken', 1_000, () => {
        throw new Error('no');
      });
    });
    source.emit('SIGTERM');
    expect(await ended).toBe(0);
    expect(steps).toEqual(['first', 'exit 0']);
    expect(log.map((line) => line['msg'])).toEqual(['stopping', 'release failed', 'release took too long', 'stopped']);
  });

  test('that cannot start releases what it had and ends with 1', async () => {
    const { steps, log, ended } = await start((lifecycle, steps) => {
      lifecycle.onStop('x', 1_000, () => void steps.push('x'));
      throw new Error('listen EADDRINUSE: address already in use :::9090');
    });
    expect(await ended).toBe(1);
    expect(steps).toEqual(['x', 'exit 1']);
    expect(log[0]).toMatchObject({ level: 'error', msg: 'start failed' });
  });

  test('that is stopped while it starts ends with 0, whatever the start made of it', async () => {
    const { steps, ended } = await start((lifecycle) => {
      void lifecycle.stop('SIGTERM');
      throw new Error('aborted');
    });
    expect(await ended).toBe(0);
    expect(steps).toEqual(['exit 0']);
  });

  test.each(['unhandledRejection', 'uncaughtException'])('ends with 1 at once on an %s, redacted', async (event) => {
    const { source, steps, log, ended } = await start((lifecycle, steps) => {
      lifecycle.onStop('x', 1_000, () => void steps.push('x'));
    });
    source.emit(event, new Error('GET /res.php?key=0123456789abcdef0123456789abcdef failed'));
    expect(await ended).toBe(1);
    expect(steps).toEqual(['exit 1']);
    expect(JSON.stringify(log)).toContain('key=[redacted] failed');
  });
});

test('a wrong configuration is told in plain lines', () => {
  expect(configFaultText('operator', ['A: not set, expected b', 'C: found "1", expected 2'])).toBe(
    'operator: 2 faults in the configuration\n  A: not set, expected b\n  C: found "1", expected 2\n',
  );
});
