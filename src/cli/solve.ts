/**
 * `solve` and `wait`: one task to its end. On stdout is the solution and nothing else; a failed task ends the command in
 * the moment its failure is seen, with the reason on stderr. Neither a timeout nor Ctrl-C touches the task: it goes on,
 * and the command says how to come back to it.
 */
import { randomBytes } from 'node:crypto';
import type { CaptchaTask } from '../api/captchatask.ts';
import { refOf } from '../client/index.ts';
import { createTask, deleteTask, getTask } from '../client/tasks.ts';
import type { SolvedValue, Waited } from '../client/types.ts';
import { waitForSolved } from '../client/wait.ts';
import { EXIT, print, printJSON, refusal, say, solvedOf, type ExitCode, type Session } from './session.ts';
import { durationMs } from './flags.ts';
import { specOf } from './task-spec.ts';

const DEFAULT_TIMEOUT = '11m';

export async function solve(session: Session): Promise<ExitCode> {
  const { args, values, cluster, namespace, signal } = session;
  const [type = ''] = args;
  const images = await readImages(session);
  if (typeof images === 'string') return usage(session, images);
  const built = specOf(type, values, images);
  if (!built.ok) return usage(session, built.wrong);
  const name = String(values['name'] ?? `solve-${type.toLowerCase()}-${randomBytes(4).toString('hex')}`);
  const made = await createTask(cluster.kube, { metadata: { name, namespace }, spec: built.spec }, { signal });
  if (made.kind === 'refused') return refused(session, `captchatask/${name} was not created`, made);
  if (made.kind === 'taken') {
    report(session, { kind: 'taken', name, namespace });
    say(session, `captchatask/${name} is there already, for another captcha; choose another --name`);
    return EXIT.failed;
  }
  progress(session, `captchatask/${name} ${made.kind === 'created' ? 'created' : 'is there already'} in ${namespace}`);
  return toItsEnd(session, made.task);
}

export async function wait(session: Session): Promise<ExitCode> {
  const { args, cluster, namespace, signal } = session;
  const [name = ''] = args;
  const found = await getTask(cluster.kube, { namespace, name }, { signal });
  if (found.kind === 'refused') return refused(session, `captchatask/${name} cannot be read`, found);
  if (found.kind === 'gone') {
    report(session, { kind: 'gone', name, namespace });
    say(session, `there is no captchatask/${name} in ${namespace}`);
    return EXIT.failed;
  }
  return toItsEnd(session, found.task);
}

async function toItsEnd(session: Session, task: CaptchaTask): Promise<ExitCode> {
  const { values, cluster, signal } = session;
  // A line with another text was refused when it was read.
  const timeoutMs = durationMs(String(values['timeout'] ?? DEFAULT_TIMEOUT)) ?? 0;
  let before = '';
  const waited = await waitForSolved(cluster.kube, refOf(task), {
    timeoutMs,
    signal,
    onChange: (seen) => {
      const { reason, message } = solvedOf(seen);
      if (reason !== '' && `${reason}${message}` !== before) progress(session, `${reason}: ${message}`);
      before = `${reason}${message}`;
    },
  });
  const code = conclude(session, task, waited);
  if (code === EXIT.ok && values['delete'] === true) {
    const deleted = await deleteTask(cluster.kube, refOf(task), {});
    if (deleted.kind === 'refused')
      say(session, `captchatask/${task.metadata.name} was not deleted: ${refusal(deleted)}`);
  }
  return code;
}

function conclude(session: Session, task: CaptchaTask, waited: Waited): ExitCode {
  const { name, namespace } = task.metadata;
  report(session, { name, namespace, ...resultOf(waited) });
  if (waited.kind === 'solved') {
    if (!session.isJSON) print(session, waited.solution.value);
    if (waited.solution.freshForMs !== undefined) progress(session, lifeOf(waited.solution.freshForMs));
    return EXIT.ok;
  }
  say(session, endOf(waited, name, `the task goes on; kubectl captcha wait ${name} -n ${namespace}`));
  return CODES[waited.kind];
}

const CODES = {
  failed: EXIT.failed,
  gone: EXIT.failed,
  refused: EXIT.refused,
  timedOut: EXIT.timedOut,
  aborted: EXIT.interrupted,
} as const;

function endOf(waited: Exclude<Waited, { kind: 'solved' }>, name: string, again: string): string {
  if (waited.kind === 'failed')
    return `captchatask/${name} failed: ${waited.reason}${codeOf(waited.task)}: ${waited.message}`;
  if (waited.kind === 'gone') return `captchatask/${name} was deleted`;
  if (waited.kind === 'refused') return `captchatask/${name} cannot be watched: ${refusal(waited)}; ${again}`;
  return waited.kind === 'timedOut' ? `captchatask/${name} is not finished; ${again}` : `interrupted; ${again}`;
}

function codeOf({ status }: CaptchaTask): string {
  return status?.failure?.code === undefined ? '' : ` (${status.failure.code})`;
}

function lifeOf(freshForMs: number): string {
  if (freshForMs <= 0) return 'the site may not take it any more';
  return `certainly good for ${Math.floor(freshForMs / 1_000)} s`;
}

/** What `-o json` shows: no more of a task than its end. */
function resultOf(waited: Waited): SolvedValue | object {
  if (waited.kind === 'solved') return { kind: waited.kind, ...waited.solution };
  if (waited.kind === 'failed') {
    const { kind, reason, message, task } = waited;
    return { kind, reason, message, code: task.status?.failure?.code };
  }
  return waited.kind === 'refused' ? waited : { kind: waited.kind };
}

function report(session: Session, result: object): void {
  if (session.isJSON) printJSON(session, result);
}

function progress(session: Session, text: string): void {
  if (session.values['quiet'] !== true) say(session, text);
}

function refused(session: Session, what: string, answer: Parameters<typeof refusal>[0]): ExitCode {
  report(session, { kind: 'refused', ...answer });
  say(session, `${what}: ${refusal(answer)}`);
  // 422 is what the person wrote: a field of the task.
  return answer.status === 422 ? EXIT.usage : EXIT.refused;
}

function usage(session: Session, message: string): ExitCode {
  say(session, `${message}; see kubectl captcha solve ${session.args[0]} --help`);
  return EXIT.usage;
}

/** In base64; a text says what is wrong. */
async function readImages({ values, readFile }: Session): Promise<string[] | string> {
  const paths = (values['file'] ?? []) as readonly string[];
  const images: string[] = [];
  for (const path of paths) {
    const content = await readFile(path === '-' ? '/dev/stdin' : path).catch((error: NodeJS.ErrnoException) => error);
    if (content instanceof Error) return `${path} cannot be read (${content.code ?? content.name})`;
    images.push(content.toString('base64'));
  }
  return images;
}
