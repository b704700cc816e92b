/**
 * `list` and `top`: what is open, by reason and age. They read pages and keep nothing; solutions are not shown.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import { CAPTCHA_TASK } from '../api/names.ts';
import type { ListFailure } from '../kube/client.ts';
import { pause } from '../kube/pause.ts';
import type { KubeObject, Resource } from '../kube/types.ts';
import type { Cluster } from '../client/open.ts';
import { durationMs } from './flags.ts';
import { ageOf, EXIT, print, printJSON, refusal, say, solvedOf, tableOf } from './session.ts';
import type { ExitCode, Session } from './session.ts';

const PAGE = 500;
export const OPEN_TASKS = 'status.phase!=Solved,status.phase!=Failed';
const DEFAULT_INTERVAL = '2s';

export interface Row {
  namespace: string;
  name: string;
  type: string;
  phase: string;
  reason: string;
  message: string;
  attempts: number;
  createdMs: number;
}

/** Every object of a selection, page by page; a list that expires half-way goes on in the newer state. */
export async function listAll<T>(
  { kube }: Pick<Cluster, 'kube'>,
  resource: Resource,
  selection: { namespace?: string | undefined; fieldSelector?: string; labelSelector?: string; signal?: AbortSignal },
): Promise<{ ok: true; items: T[] } | ListFailure> {
  const items: KubeObject[] = [];
  let token: string | undefined;
  do {
    const page = await kube.list(resource, { ...selection, limit: PAGE, ...(token && { continue: token }) });
    if (!page.ok && page.continue === undefined) return page;
    if (page.ok) items.push(...page.items);
    token = page.continue;
  } while (token !== undefined);
  return { ok: true, items: items as unknown as T[] };
}

export function rowOf(task: CaptchaTask): Row {
  const { reason, message } = solvedOf(task);
  return {
    namespace: task.metadata.namespace,
    name: task.metadata.name,
    type: task.spec.captcha.type,
    phase: task.status?.phase ?? '',
    reason,
    message,
    attempts: task.status?.attempts ?? 0,
    createdMs: Date.parse(task.metadata.creationTimestamp),
  };
}

/** By reason, the oldest first: what has waited longest for one cause is on top of it. */
export function inOrder(rows: readonly Row[]): Row[] {
  return rows.toSorted(
    (a, b) => a.reason.localeCompare(b.reason) || a.createdMs - b.createdMs || a.name.localeCompare(b.name),
  );
}

export function listText(rows: readonly Row[], nowMs: number, everywhere: boolean): string {
  if (rows.length === 0) return 'nothing is open';
  const head = [...(everywhere ? ['NAMESPACE'] : []), 'NAME', 'TYPE', 'PHASE', 'REASON', 'AGE', 'MESSAGE'];
  const cells = inOrder(rows).map((row) => {
    const { namespace, name, type, phase, reason, message } = row;
    return [...(everywhere ? [namespace] : []), name, type, phase, reason, ageOf(row.createdMs, nowMs), message];
  });
  return tableOf([head, ...cells]);
}

/** How many wait for what, and since when. */
export function sumText(rows: readonly Row[], nowMs: number): string {
  const reasons = [...Map.groupBy(inOrder(rows), ({ reason }) => reason || '(not seen yet)')];
  const cells = reasons.map(([reason, group]) => [
    reason,
    String(group.length),
    ageOf(group[0]?.createdMs ?? nowMs, nowMs),
  ]);
  return tableOf([['REASON', 'TASKS', 'OLDEST'], ...cells]);
}

export async function list(session: Session): Promise<ExitCode> {
  const finished = session.values['finished'] === true;
  const rows = await readRows(session, finished ? {} : { fieldSelector: OPEN_TASKS });
  if (typeof rows === 'number') return rows;
  show(session, rows, (_nowMs, text) => text);
  return EXIT.ok;
}

/** Where stdout is no terminal it looks once. */
export async function top(session: Session): Promise<ExitCode> {
  const intervalMs = durationMs(String(session.values['interval'] ?? DEFAULT_INTERVAL)) ?? 0;
  if (intervalMs === 0) {
    say(session, '--interval takes more than no time; see kubectl captcha top --help');
    return EXIT.usage;
  }
  const refreshed = session.stdout.isTTY === true && !session.isJSON;
  for (;;) {
    const rows = await readRows(session, { fieldSelector: OPEN_TASKS });
    if (session.signal.aborted) return EXIT.ok;
    if (typeof rows === 'number') return rows;
    show(session, rows, (nowMs, text) => `${refreshed ? CLEAR : ''}${sumText(rows, nowMs)}\n\n${text}`);
    if (!refreshed || !(await pause(intervalMs, session.signal))) return EXIT.ok;
  }
}

function show(session: Session, rows: readonly Row[], around: (nowMs: number, text: string) => string): void {
  const nowMs = Date.now();
  if (!session.isJSON) return print(session, around(nowMs, listText(rows, nowMs, isEverywhere(session))));
  const ordered = inOrder(rows);
  return printJSON(
    session,
    ordered.map((row) => jsonOf(row, nowMs)),
  );
}

/** Cursor home, then what is below it away: no flicker. */
const CLEAR = '\u001b[H\u001b[J';

function isEverywhere({ values }: Session): boolean {
  return values['all-namespaces'] === true;
}

async function readRows(session: Session, selection: { fieldSelector?: string }): Promise<Row[] | ExitCode> {
  const { cluster, namespace, signal } = session;
  const where = isEverywhere(session) ? {} : { namespace };
  const found = await listAll<CaptchaTask>(cluster, CAPTCHA_TASK, { ...where, ...selection, signal });
  if (found.ok) return found.items.map(rowOf);
  say(session, `tasks cannot be listed: ${refusal(found)}`);
  return EXIT.refused;
}

function jsonOf({ createdMs, ...row }: Row, nowMs: number): object {
  return { ...row, ageSeconds: Math.max(0, Math.floor((nowMs - createdMs) / 1_000)) };
}
