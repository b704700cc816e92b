/** The event recorder: aggregated, bounded, and never in anybody's way. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createEventRecorder } from '../../../src/kube/events.ts';
import type { EventRecord, EventRecorderOptions } from '../../../src/kube/events.ts';
import type { ApiReply, ApiRequest } from '../../../src/kube/types.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-22T10:00:00.500Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

const eventOf = (extra: Partial<EventRecord> = {}, name = 'login'): EventRecord => ({
  object: { apiVersion: 'g/v1', kind: 'CaptchaTask', namespace: 'ns', name, uid: `uid-${name}` },
  type: 'Warning',
  reason: 'Failed',
  action: 'Submit',
  note: 'the provider refused it',
  ...extra,
});

function recorderThatIsAnswered(reply: ApiReply = { ok: true, object: {} }, extra: Partial<EventRecorderOptions> = {}) {
  const sent: ApiRequest[] = [];
  const dropped: string[] = [];
  const execute = async (request: ApiRequest) => {
    sent.push(request);
    await new Promise((resolve) => setTimeout(resolve, 10));
    return reply;
  };
  const options = { client: { execute }, reportingController: 'g/task', reportingInstance: 'pod-0', ...extra };
  const recorder = createEventRecorder({ ...options, hooks: { onDropped: (why) => dropped.push(why) } });
  return { sent, dropped, recorder };
}
const neverAnswer = () => new Promise<never>(() => {});
const bodyOf = (request: ApiRequest | undefined) =>
  request?.verb === 'create' ? (request.object as Record<string, unknown>) : undefined;

describe('the event recorder', () => {
  test('writes an Event as events.k8s.io wants it', async () => {
    const { sent, recorder } = recorderThatIsAnswered();
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(50);
    expect(sent).toHaveLength(1);
    expect(bodyOf(sent[0])).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      eventTime: '2026-11-22T10:00:00.500000Z',
      reportingController: 'g/task',
      reportingInstance: 'pod-0',
      type: 'Warning',
      reason: 'Failed',
      action: 'Submit',
      regarding: { kind: 'CaptchaTask', name: 'login', uid: 'uid-login' },
      note: 'the provider refused it',
    });
  });

  test('counts repetitions in one series, written a minute later', async () => {
    const { sent, recorder } = recorderThatIsAnswered();
    for (let time = 0; time < 40; time++) recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(59_000);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sent[1]).toMatchObject({ verb: 'mergePatch', patch: { series: { count: 40 } } });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(sent).toHaveLength(2);
  });

  test('begins anew after six minutes without a repetition', async () => {
    const { sent, recorder } = recorderThatIsAnswered();
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(361_000);
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(50);
    expect(sent.map(({ verb }) => verb)).toEqual(['create', 'create']);
  });

  test('drops and counts what exceeds its rate', async () => {
    const { sent, dropped, recorder } = recorderThatIsAnswered();
    for (let index = 0; index < 100; index++) recorder.record(eventOf({}, `task-${index}`));
    await vi.advanceTimersByTimeAsync(2_000);
    expect([sent.length, dropped.length]).toEqual([25, 75]);
    recorder.record(eventOf({}, 'later'));
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toHaveLength(26);
  });

  test('counts what the server refuses, and goes on', async () => {
    const refusal = {
      ok: false,
      status: 403,
      reason: 'Forbidden',
      message: '',
      transient: false,
      sent: false,
    } as const;
    const { sent, dropped, recorder } = recorderThatIsAnswered(refusal);
    recorder.record(eventOf());
    recorder.record(eventOf({ reason: 'Other' }));
    await vi.advanceTimersByTimeAsync(100);
    expect([sent.length, dropped]).toEqual([2, ['refused', 'refused']]);
  });

  test('bounds what the API bounds', async () => {
    const { sent, recorder } = recorderThatIsAnswered();
    recorder.record(eventOf({ note: '字'.repeat(2_000) }, `${'n'.repeat(229)}-${'x'.repeat(20)}`));
    await vi.advanceTimersByTimeAsync(50);
    const body = bodyOf(sent[0]) as { note: string; metadata: { name: string } };
    expect(Buffer.byteLength(body.note)).toBeLessThanOrEqual(1_024);
    expect(body.note).not.toContain('\uFFFD');
    expect(body.metadata.name).toMatch(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
    expect(body.metadata.name).not.toContain('-.');
    expect(body.metadata.name.length).toBeLessThanOrEqual(253);
  });

  test('writes what waits when it stops, within a bound, and takes nothing more', async () => {
    const { sent, recorder } = recorderThatIsAnswered();
    for (let time = 0; time < 3; time++) recorder.record(eventOf());
    const stopped = recorder.stop();
    recorder.record(eventOf({ reason: 'TooLate' }));
    await vi.advanceTimersByTimeAsync(100);
    await stopped;
    expect(sent.map(({ verb }) => verb)).toEqual(['create', 'mergePatch']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('does not wait at its stop for a server that does not answer', async () => {
    const options = { client: { execute: neverAnswer }, reportingController: 'g/task', reportingInstance: 'pod-0' };
    const recorder = createEventRecorder(options);
    recorder.record(eventOf());
    const stopped = recorder.stop({ drainMs: 500 });
    await vi.advanceTimersByTimeAsync(501);
    await expect(stopped).resolves.toBeUndefined();
  });
});
