/**
 * A running task controller over the model API and a provider that does as it is told, for tests of the shell.
 */
import { setImmediate } from 'node:timers/promises';
import type { CaptchaTask, CaptchaTaskStatus } from '../../src/api/captchatask.ts';
import type { PollOutcome, SubmitOutcome } from '../../src/core/outcome.ts';
import type { TaskController, TaskControllerOptions } from '../../src/controllers/task/index.ts';
import type { SubmitRequest } from '../../src/provider/client.ts';
import { startTaskController } from '../../src/controllers/task/index.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { DEFAULT_POLICY } from '../../src/core/task/policy.ts';
import type { TaskBuilder } from './builders.ts';
import type { ModelApi } from './model-api.ts';
import type { ModelClient } from './model-client.ts';
import { createModelApi } from './model-api.ts';
import { createModelClient } from './model-client.ts';
import { waitUntil } from './wait-until.ts';

export interface Stage {
  api: ModelApi;
  client: ModelClient;
  controller: TaskController;
  /** Every call of in.php, and what it is answered. */
  submissions: SubmitRequest[];
  answer: (request: SubmitRequest) => SubmitOutcome | Promise<SubmitOutcome>;
  pollAnswer: (captchaID: string, apiKey: string) => PollOutcome | Promise<PollOutcome>;
  lead(leading: boolean): void;
  apply(task: TaskBuilder): void;
  remove(name: string): void;
  task(name?: string): CaptchaTask | undefined;
  /** Changes what the owner may change. */
  respec(change: Partial<CaptchaTask['spec']>, name?: string): void;
  /** Writes status by another hand. */
  write(status: CaptchaTaskStatus, name?: string): void;
  until(reason: string, matches: (task: CaptchaTask) => boolean, name?: string): Promise<CaptchaTask>;
  /** The same on a fast clock: every look is half a second later for the controller, which then looks at the task too. */
  untilLater(reason: string, matches: (task: CaptchaTask) => boolean, name?: string): Promise<CaptchaTask>;
  reason(name?: string): string | undefined;
  /** Status writes so far, by the phase they wrote. */
  phases(): (string | undefined)[];
  logged: string[];
}

/** @param forbidden namespaces that may be neither listed nor watched; nothing waits for them */
export async function startStage(
  change: Partial<TaskControllerOptions> = {},
  forbidden: readonly string[] = [],
): Promise<Stage> {
  const api = createModelApi(() => Date.now());
  const client = createModelClient(api);
  const { namespaces = [] } = change;
  for (const namespace of forbidden) client.forbidden.add(namespace);
  const listeners = new Set<(leading: boolean) => void>();
  const logged: string[] = [];
  const line = (message: string, fields?: object): void =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log = { debug: line, info: line, warn: line, error: line, isEnabled: () => true, with: () => log };
  let leading = true;
  let aheadMs = 0;
  const read = (name = 'login'): CaptchaTask | undefined => api.read<CaptchaTask>(CAPTCHA_TASK.plural, name);
  const lookAt = (reason: string, name: string, look: (task: CaptchaTask) => boolean): Promise<CaptchaTask> =>
    waitUntil(
      reason,
      () => {
        const task = read(name);
        return task !== undefined && look(task) ? task : undefined;
      },
      { boundMs: 8_000, everyMs: 5 },
    );
  const stage: Omit<Stage, 'controller'> = {
    api,
    client,
    submissions: [],
    answer: () => ({ kind: 'accepted', captchaID: '1001' }),
    pollAnswer: () => ({ kind: 'pending' }),
    lead(now) {
      leading = now;
      for (const listener of listeners) listener(now);
    },
    apply: (builder) => {
      const task = builder.build();
      const { name } = task.metadata;
      client.change(CAPTCHA_TASK.plural, name, () => api.seed(CAPTCHA_TASK.plural, task));
    },
    remove: (name) => client.change(CAPTCHA_TASK.plural, name, () => api.remove(CAPTCHA_TASK.plural, name)),
    task: read,
    respec: (change, name = 'login') =>
      client.change(CAPTCHA_TASK.plural, name, () => {
        const before = read(name);
        api.seed(CAPTCHA_TASK.plural, { ...before, spec: { ...before?.spec, ...change } });
      }),
    write: (status, name = 'login') =>
      client.change(CAPTCHA_TASK.plural, name, () => api.seed(CAPTCHA_TASK.plural, { ...read(name), status })),
    until: (reason, matches, name = 'login') => lookAt(reason, name, matches),
    untilLater: (reason, matches, name = 'login') =>
      lookAt(reason, name, (task) => {
        aheadMs += 500;
        controller.wake(task.metadata.namespace, name);
        return matches(task);
      }),
    reason: (name) => read(name)?.status?.conditions?.find(({ type }) => type === 'Solved')?.reason,
    phases: () =>
      api.writes
        .filter((request) => request.verb === 'replaceStatus' || request.verb === 'patchStatus')
        .map((request) =>
          request.verb === 'replaceStatus' ? (request.object as CaptchaTask).status?.phase : 'patched',
        ),
    logged,
  };
  const controller = startTaskController({
    client,
    leadership: {
      isLeader: () => leading,
      wasTaken: () => false,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    provider: {
      submit: async (request) => {
        stage.submissions.push(request);
        return await stage.answer(request);
      },
      poll: async ({ captchaID, apiKey }) => await stage.pollAnswer(captchaID, apiKey),
      threads: () => Promise.resolve(undefined),
    },
    metrics: { inc: () => {}, observe: () => {}, gauge: () => {} },
    log,
    events: { record: () => {} },
    policy: DEFAULT_POLICY,
    clock: { now: Date.now, monotonicMs: () => performance.now() + aheadMs, random: Math.random },
    identity: 'operator-a',
    journal: { namespace: 'captcha-system', name: 'captcha-operator-journal' },
    ownKey: { value: 'x'.repeat(32) },
    letters: { lookup: () => ({ state: 'absent' }) },
    mintPingback: ({ name }, attempt) => `https://callback.example/v1/callback/${name}.${attempt}`,
    ...change,
  });
  if (forbidden.length === 0) await controller.synced;
  const watched = Math.max(1, namespaces.length) - forbidden.length;
  // By turns of the event loop: the clock may stand still.
  const acts = (): boolean => logged.some((text) => text.startsWith('Acting on tasks')) && client.watching() >= watched;
  while (change.leadership === undefined && !acts()) await setImmediate();
  return Object.assign(stage, { controller });
}
