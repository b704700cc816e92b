/** Creates tasks that were submitted already and wait for their callback: for runs that exercise the sidecar alone. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { intended, submitted } from '../../src/core/task/transitions.ts';
import { objectOf, type Admin } from '../../dev/control-plane/index.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import { createTasks, tasksPath } from './seed-tasks.ts';

/** `count` tasks `t-0`…, phase Submitted under `CAPTCHA_ID`, due for a poll in an hour. */
export async function createSubmittedTasks(admin: Admin, namespace: string, count: number): Promise<CaptchaTask[]> {
  const tasks = await createTasks(admin, namespace, count);
  const now = Date.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const task = tasks[n]!;
      const begun = { ...task, status: intended(task, { by: 'seed/1', pingback: true, sameAttempt: false }, now) };
      const status = submitted(begun, CAPTCHA_ID, now + 3_600_000, now);
      const path = `${tasksPath(namespace)}/${task.metadata.name}/status`;
      tasks[n] = objectOf<CaptchaTask>(await admin.replace(path, { ...task, status }));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return tasks;
}

/** Every task of a namespace as it is now, by name. */
export async function listTasks(admin: Admin, namespace: string): Promise<Map<string, CaptchaTask>> {
  const found = new Map<string, CaptchaTask>();
  let next = '';
  do {
    const page = objectOf<{ metadata: { continue?: string }; items: CaptchaTask[] }>(
      await admin.get(`/apis/${API_VERSION}/namespaces/${namespace}/captchatasks?limit=500&continue=${next}`),
    );
    for (const task of page.items) found.set(task.metadata.name, task);
    next = page.metadata.continue ?? '';
  } while (next !== '');
  return found;
}
