/**
 * A controller that depends on solved tasks: for every ConfigMap labelled `example.com/login=wanted` it has a captcha
 * solved, logs in with the solution, and writes how it went into an annotation of the ConfigMap. Run it with
 *   node --conditions=source examples/controller/main.ts <namespace>
 * It needs: captchatasks get, list, watch, create, delete; configmaps list, update.
 *
 * What to take from it: level-triggered passes over what is wanted (nothing is remembered between passes, so it may be
 * killed at any moment), a task name made from what needs it (creating twice is one task), an owner reference (the task
 * goes with its ConfigMap), and a result that is used once, then its task is deleted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CoreV1Api, KubeConfig, type V1ConfigMap } from '@kubernetes/client-node';
import { createTaskClient, refOf, type NewTask, type TaskClient } from 'captcha-operator/client';

const WANTED = 'example.com/login=wanted';
const OUTCOME = 'example.com/login-outcome';
const PASS_INTERVAL_MS = 1_000;
const SOLVE_TIMEOUT_MS = 10 * 60_000;

interface Context {
  namespace: string;
  configMaps: CoreV1Api;
  tasks: TaskClient;
  signal: AbortSignal;
}

/** One login: from the wish to the annotation. Safe to repeat from any point of it. */
async function logIn(context: Context, wish: V1ConfigMap): Promise<void> {
  const { tasks, signal } = context;
  const created = await tasks.create(taskFor(wish), { signal });
  if (created.kind === 'refused') return report(context, wish, `no task: ${created.reason}`);
  if (created.kind === 'taken') return report(context, wish, 'no task: its name is taken');
  const ref = refOf(created.task);
  const waited = await tasks.waitForSolved(ref, { signal, timeoutMs: SOLVE_TIMEOUT_MS });
  switch (waited.kind) {
    case 'solved': {
      // Tried also where `freshForMs` is 0: a refusal costs nothing here. Where it does, create a new task instead.
      const isIn = await submitForm(wish, waited.solution.value, signal);
      // A token works once: whatever came of it, the next try needs a new task.
      await tasks.delete(ref, { signal });
      return report(context, wish, isIn ? 'logged in' : 'the site refused the solution');
    }
    case 'failed':
      return report(context, wish, `not solved: ${waited.reason}`);
    case 'refused':
      return report(context, wish, `cannot see the task: ${waited.reason}`);
    // The next pass starts over: with a new task, or with the same one.
    case 'gone':
    case 'timedOut':
    case 'aborted':
      return undefined;
  }
}

function taskFor(wish: V1ConfigMap): NewTask {
  const { name = '', namespace = '', uid = '' } = wish.metadata ?? {};
  return {
    metadata: {
      name: `login-${name}`,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }],
    },
    spec: {
      captcha: {
        type: 'Turnstile',
        turnstile: { siteKey: wish.data?.['siteKey'] ?? '', pageURL: wish.data?.['pageURL'] ?? '' },
      },
    },
  };
}

/** What a browser would do with the token. */
async function submitForm(wish: V1ConfigMap, token: string, signal: AbortSignal): Promise<boolean> {
  const body = new URLSearchParams({ 'cf-turnstile-response': token });
  const reply = await fetch(wish.data?.['formURL'] ?? '', { method: 'POST', body, signal });
  await reply.body?.cancel();
  return reply.ok;
}

async function report({ configMaps, namespace }: Context, wish: V1ConfigMap, outcome: string): Promise<void> {
  const name = wish.metadata?.name ?? '';
  wish.metadata ??= {};
  wish.metadata.annotations = { ...wish.metadata.annotations, [OUTCOME]: outcome };
  // With the resourceVersion that was read: if somebody changed the wish meanwhile, the next pass decides anew.
  await configMaps.replaceNamespacedConfigMap({ name, namespace, body: wish });
  console.log(`${name}: ${outcome}`);
}

async function run(namespace: string, signal: AbortSignal): Promise<void> {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromDefault();
  const tasks = await createTaskClient({ userAgent: 'login-controller' });
  const context: Context = { namespace, configMaps: kubeconfig.makeApiClient(CoreV1Api), tasks, signal };
  const underWay = new Set<string>();
  while (!signal.aborted) {
    const { items } = await context.configMaps.listNamespacedConfigMap({ namespace, labelSelector: WANTED });
    for (const wish of items) {
      const uid = wish.metadata?.uid ?? '';
      if (wish.metadata?.annotations?.[OUTCOME] !== undefined || underWay.has(uid)) continue;
      underWay.add(uid);
      void logIn(context, wish)
        .catch((error: unknown) => console.error(`${wish.metadata?.name}: ${String(error)}`))
        .finally(() => underWay.delete(uid));
    }
    await delay(PASS_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
  await tasks.close();
}

const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort());
await run(process.argv[2] ?? 'default', stopping.signal);
