/** Creates many tasks for a benchmark, as an administrator, a few at a time. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { objectOf, type Admin } from '../../dev/control-plane/index.ts';

export async function createBenchNamespace(admin: Admin, name: string): Promise<void> {
  objectOf(await admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
}

/** `count` Turnstile tasks `t-0`…, with `more` in each spec; resolves with what the API server stored. */
export async function createTasks(admin: Admin, namespace: string, count: number, more = {}): Promise<CaptchaTask[]> {
  const created: CaptchaTask[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      created[index] = objectOf(await admin.create(tasksPath(namespace), manifestOf(namespace, index, more)));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return created;
}

export function tasksPath(namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${namespace}/captchatasks`;
}

export function manifestOf(namespace: string, index: number, more = {}): object {
  const pageURL = `https://shop.example/${namespace}/t-${index}`;
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAAAAAADnPIDROrmt1Wwj', pageURL } };
  return { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata: { name: `t-${index}` }, spec: { captcha, ...more } };
}
