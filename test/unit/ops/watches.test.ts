/** What is told of the watches: which are named, which are counted, and which age the alert sees. */
import { describe, expect, test } from 'vitest';
import {
  lastEventMs,
  refusedWatches,
  registerWatchGauges,
  reportWatches,
  signsOfLife,
} from '../../../src/ops/watches.ts';
import type { Watches, WatchTrouble } from '../../../src/ops/watches.ts';
import { createMetrics } from '../../../src/ops/metrics.ts';

const FORBIDDEN = { status: 403, reason: 'Forbidden' };
const AWAY = { status: 0, reason: 'Disconnected' };
const at = (eventMs: number, trouble?: WatchTrouble, namespace: string | undefined = 'a', answerMs = eventMs) => ({
  resource: 'captchatasks' as const,
  namespace,
  lastEventMs: () => eventMs,
  lastActivityMs: () => eventMs,
  lastAnswerMs: () => answerMs,
  trouble: () => trouble,
});

const watches: Watches = () => [at(9_000), at(1_000, FORBIDDEN, 'shut'), at(2_000, AWAY, 'b')];

describe('of watches that are refused', () => {
  test('/readyz names each, with the reason', () => {
    expect(refusedWatches(watches)).toEqual(['captchatasks in namespace shut cannot be watched: Forbidden (403)']);
    expect(refusedWatches(() => [{ ...at(0, { status: 404, reason: 'NotFound' }), namespace: undefined }])).toEqual([
      'captchatasks cannot be watched: NotFound (404)',
    ]);
  });

  test('the metrics count each, without a name', async () => {
    const metrics = createMetrics({ process: 'operator', version: '0' });
    registerWatchGauges(metrics, watches);
    const text = await metrics.text();
    metrics.stop();
    expect(text).toContain('captcha_operator_watches_refused{resource="captchatasks"} 1');
    expect(text).not.toContain('shut');
  });

  test('the age of the others does not count theirs, unless nothing else is watched', () => {
    expect(lastEventMs(watches())).toBe(2_000);
    expect(lastEventMs([at(1_000, FORBIDDEN), at(3_000, FORBIDDEN)])).toBe(3_000);
  });

  test('the answer is a sign of life', () => {
    expect(signsOfLife(() => [at(1_000, FORBIDDEN, 'shut', 8_000)])).toEqual([
      { name: 'captchatasks in namespace shut', lastSignMs: 8_000 },
    ]);
  });
});

const listen = () => {
  const lines: string[] = [];
  const write = (message: string, fields?: object): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, hooks: reportWatches({ inc: () => {} }, { info: write, warn: write, error: write }) };
};

describe('the log', () => {
  test('names a namespace that is refused, and says when it is back', () => {
    const { lines, hooks } = listen();
    hooks.onUnavailable({ resource: 'captchatasks', namespace: 'shut', ...FORBIDDEN });
    hooks.onAvailable({ resource: 'captchatasks', namespace: 'shut' });
    expect(lines).toEqual([
      'watch refused, trying again {"resource":"captchatasks","namespace":"shut","trouble":"Forbidden (403)"}',
      'watching again {"resource":"captchatasks","namespace":"shut"}',
    ]);
  });

  test('has one line for an outage and one for its end, however many namespaces are watched', () => {
    const { lines, hooks } = listen();
    const namespaces = Array.from({ length: 300 }, (_, index) => `ns-${index}`);
    for (const namespace of namespaces) hooks.onUnavailable({ resource: 'captchatasks', namespace, ...AWAY });
    for (const namespace of namespaces) hooks.onAvailable({ resource: 'captchatasks', namespace });
    expect(lines).toEqual([
      'watch unavailable, trying again {"resource":"captchatasks","trouble":"Disconnected (0)"}',
      'watching again {"resource":"captchatasks"}',
    ]);
  });

  test('says that an outage is over although one namespace turns out to be refused', () => {
    const { lines, hooks } = listen();
    for (const namespace of ['a', 'shut']) hooks.onUnavailable({ resource: 'captchatasks', namespace, ...AWAY });
    hooks.onUnavailable({ resource: 'captchatasks', namespace: 'shut', ...FORBIDDEN });
    hooks.onAvailable({ resource: 'captchatasks', namespace: 'a' });
    expect(lines.at(-1)).toBe('watching again {"resource":"captchatasks"}');
  });
});
