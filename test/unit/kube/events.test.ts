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

const failure = (status: number, transient = false): ApiReply => ({
  ...({ ok: false, reason: 'No', message: '', sent: true } as const),
  status,
  transient,
});

/** Events as a server keeps them; `down` answers nothing but failures. */
function eventServer() {
  const kept = new Map<string, { series?: { count: number } }>();
  const server = { down: false, kept, replyLost: false };
  const answer = (request: ApiRequest): ApiReply => {
    if (server.down) return failure(0, true);
    if (request.verb === 'create') {
      const { metadata, ...event } = request.object as { metadata: { name: string }; series?: { count: number } };
      if (kept.has(metadata.name)) return failure(409);
      kept.set(metadata.name, event);
    } else if (request.verb === 'mergePatch') {
      const event = kept.get(request.name);
      if (event === undefined) return failure(404);
      Object.assign(event, request.patch);
    }
    if (!server.replyLost) return { ok: true, object: {} };
    server.replyLost = false;
    return failure(0, true);
  };
  const execute = (request: ApiRequest) => Promise.resolve(answer(request));
  const recorder = createEventRecorder({
    client: { execute },
    reportingController: 'g/task',
    reportingInstance: 'pod-0',
  });
  return { server, recorder, counts: () => Array.from(kept.values(), ({ series }) => series?.count ?? 1) };
}

const MINUTE = 60_000;

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

  test('writes what an outage kept back when the server is there again, repeated or not', async () => {
    const { server, recorder, counts } = eventServer();
    server.down = true;
    recorder.record(eventOf({ reason: 'Once' }));
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    recorder.record(eventOf());
    server.down = false;
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(counts().toSorted((left, right) => left - right)).toEqual([1, 2]);
  });

  test('creates an Event anew that is gone while it is still repeated', async () => {
    const { server, recorder, counts } = eventServer();
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(MINUTE);
    server.kept.clear();
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(counts()).toEqual([2]);
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(counts()).toEqual([3]);
  });

  test('writes one Event although the reply to its creation was lost', async () => {
    const { server, recorder, counts } = eventServer();
    server.replyLost = true;
    recorder.record(eventOf());
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(3 * MINUTE);
    expect(counts()).toEqual([2]);
  });

  test('gives up an Event after a quarter of an hour of failures, and counts it', async () => {
    const outage = failure(0, true);
    const { sent, dropped, recorder } = recorderThatIsAnswered(outage);
    recorder.record(eventOf());
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect([sent.length, dropped]).toEqual([12, ['refused']]);
    expect(vi.getTimerCount()).toBe(0);
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
