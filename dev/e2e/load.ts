/**
 * Tasks in a steady stream while something happens to the operator, and then the books: every task solved, each paid
 * exactly once by the simulator's ledger, no task with another's result. Says how many results came by callback.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { API_VERSION } from '../../src/api/names.ts';
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import { objectOf } from '../control-plane/index.ts';
import type { LedgerSubmission } from '../simulator/ledger.ts';
import { TASKS, read, until, type Stage } from './stage.ts';

const PATH = `/apis/${API_VERSION}/namespaces/${TASKS}/captchatasks`;
const LABEL = 'captcha-e2e/batch';

/** A callback that a dying pod did not take is replaced by a poll; the default waits two minutes for it. */
const POLLED_SOON = { callbackTimeoutSeconds: 20 };

export interface Batch {
  name: string;
  count: number;
  everyMs: number;
  /** Nothing dies without warning: then no callback may be answered otherwise than 200, or not at all. */
  graceful?: boolean;
}

/** Begins `disturb` once a tenth of the tasks is there. Returns what was seen, `disturb`'s words first. */
export async function underLoad(stage: Stage, batch: Batch, disturb: () => Promise<string>): Promise<string> {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const create = async (): Promise<void> => {
    try {
      for (let index = 0; index < batch.count; index += 1) {
        if (index >= batch.count / 10) begin();
        await createTask(stage, batch.name, index, POLLED_SOON);
        await delay(batch.everyMs);
      }
    } finally {
      begin();
    }
  };
  const [said] = await Promise.all([begun.then(disturb), create()]);
  return `${said}; ${await settle(stage, batch.name, batch.count, batch.graceful)}`;
}

export async function createTask(
  { admin }: Stage,
  batch: string,
  index: number,
  further: Partial<CaptchaTaskSpec> = {},
): Promise<void> {
  const metadata = { name: `${batch}-${index}`, namespace: TASKS, labels: { [LABEL]: batch } };
  const turnstile = { siteKey: siteKeyOf(batch, index), pageURL: pageOf(batch) };
  const spec = { captcha: { type: 'Turnstile', turnstile }, ...further };
  objectOf(await admin.create(PATH, { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata, spec }));
}

function siteKeyOf(batch: string, index: number): string {
  return `0x4AAAAAAA${batch}${index}`;
}

/** The page by which the simulator's rules and books know a batch. */
export function pageOf(batch: string): string {
  return `https://load.example/${batch}`;
}

export async function tasksOf(stage: Stage, batch: string): Promise<CaptchaTask[]> {
  const query = `labelSelector=${encodeURIComponent(`${LABEL}=${batch}`)}`;
  return (await read<{ items: CaptchaTask[] }>(stage, `${PATH}?${query}`)).items;
}

/** Waits until all are at their end, then compares them with the books. Throws with every fault. */
export async function settle(stage: Stage, batch: string, count: number, graceful = false): Promise<string> {
  const tasks = await until(
    `${count} tasks of ${batch} to be solved`,
    async () => {
      const all = await tasksOf(stage, batch);
      return (
        all.filter(({ status }) => status?.phase === 'Solved' || status?.phase === 'Failed').length === count && all
      );
    },
    300_000,
  );
  const { submissions } = await stage.control.ledger({ field: 'pageurl', equals: pageOf(batch) });
  const unanswered = unansweredIn(submissions);
  const faults = [...faultsIn(tasks, submissions), ...(graceful ? unanswered : [])];
  if (faults.length > 0) throw new Error(`${batch}: ${faults.slice(0, 5).join('; ')} (${faults.length} in all)`);
  const by = (source: string): number => tasks.filter(({ status }) => status?.solution?.source === source).length;
  return `${count} solved, each paid once, ${by('Callback')} by callback, ${by('Poll')} by poll; ${inWords(unanswered)}`;
}

/** How many of each kind. */
function inWords(unanswered: readonly string[]): string {
  const kinds = unanswered.map((sentence) => sentence.replace(/^.* met /, ''));
  const counts = [...new Set(kinds)].map((kind) => `${kinds.filter((one) => one === kind).length} ${kind}`);
  return `${unanswered.length} callbacks not answered 200${counts.length === 0 ? '' : ` (${counts.join(', ')})`}`;
}

/** The provider's calls that met a reset, a closed door or a refusal: one sentence for each. */
export function unansweredIn(submissions: readonly Pick<LedgerSubmission, 'pingbacks'>[]): string[] {
  const failed = submissions.flatMap(({ pingbacks }) => pingbacks.filter(({ status }) => status !== 200));
  return failed.map(({ id, status, error }) => `the callback for ${id} met ${error ?? `status ${status}`}`);
}

/** What the provider's books say against the tasks: one sentence for each that was lost, paid for twice, or mixed up. */
export function faultsIn(
  tasks: readonly CaptchaTask[],
  submissions: readonly Pick<LedgerSubmission, 'paid' | 'fields' | 'id'>[],
): string[] {
  const paid = new Map<string, string[]>();
  for (const { paid: isPaid, fields, id = '' } of submissions) {
    const key = fields['sitekey'] ?? '';
    if (isPaid) paid.set(key, [...(paid.get(key) ?? []), id]);
  }
  return tasks.flatMap((task) => faultsOf(task, paid));
}

function faultsOf({ metadata, spec, status }: CaptchaTask, paid: ReadonlyMap<string, string[]>): string[] {
  const ids = paid.get(spec.captcha.turnstile?.siteKey ?? '') ?? [];
  const { phase, solution } = status ?? {};
  const faults: string[] = [];
  if (phase !== 'Solved') faults.push(`${metadata.name} is ${phase}`);
  if (ids.length !== 1) faults.push(`${metadata.name} was paid for ${ids.length} times`);
  else if (solution?.captchaID !== ids[0]) faults.push(`${metadata.name} has the result of another submission`);
  return faults;
}
