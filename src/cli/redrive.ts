/**
 * `redrive`: orders the retry of dead letters, by their annotation. It names what it ordered and does not wait: what came
 * of it stands in the letter. A letter that is resolved is left alone, because its result is stored.
 */
import type { DeadLetter } from '../api/deadletter.ts';
import { DEAD_LETTER, RETRY_ANNOTATION, type LetterPhase } from '../api/names.ts';
import type { ApiFailure } from '../kube/types.ts';
import { listAll } from './list.ts';
import { EXIT, print, printJSON, refusal, say, type ExitCode, type Session } from './session.ts';

interface Outcome {
  namespace: string;
  name: string;
  redriven: boolean;
  why?: string;
}

/** Phases in which `--all` finds something to retry. */
const OPEN: readonly LetterPhase[] = ['Pending', 'Abandoned'];

export async function redrive(session: Session): Promise<ExitCode> {
  const letters = await chosen(session);
  if (typeof letters === 'number') return letters;
  const outcomes: Outcome[] = [];
  for (const letter of letters) {
    const outcome = 'redriven' in letter ? letter : await order(session, letter);
    outcomes.push(outcome);
    if (!session.isJSON) tell(session, outcome);
  }
  if (session.isJSON) printJSON(session, outcomes);
  else if (outcomes.length === 0) say(session, 'no letter is pending or abandoned');
  return outcomes.every(({ redriven }) => redriven) ? EXIT.ok : EXIT.failed;
}

function tell(session: Session, { namespace, name, redriven, why = '' }: Outcome): void {
  if (redriven) print(session, `deadletter/${name} redriven in ${namespace}`);
  else say(session, `deadletter/${name} not redriven: ${why}`);
}

async function chosen(session: Session): Promise<(DeadLetter | Outcome)[] | ExitCode> {
  const { args, values, cluster, namespace, signal } = session;
  if (args.length > 0) return Promise.all(args.map((name) => letterNamed(session, name)));
  const where = values['all-namespaces'] === true ? {} : { namespace };
  const found = await listAll<DeadLetter>(cluster, DEAD_LETTER, { ...where, signal });
  if (found.ok) return found.items.filter(({ status }) => OPEN.includes(status?.phase ?? 'Pending'));
  say(session, `letters cannot be listed: ${refusal(found)}`);
  return EXIT.refused;
}

async function letterNamed({ cluster, namespace, signal }: Session, name: string): Promise<DeadLetter | Outcome> {
  const request = { verb: 'get', resource: DEAD_LETTER, namespace, name, read: 'quorum' } as const;
  const reply = await cluster.kube.execute(request, { signal });
  if (!reply.ok) return { namespace, name, redriven: false, why: wordsOf(reply, namespace) };
  const letter = reply.object as DeadLetter;
  if (letter.status?.phase !== 'Resolved') return letter;
  return { namespace, name, redriven: false, why: 'it is resolved, its result is stored' };
}

async function order({ cluster, signal }: Session, letter: DeadLetter): Promise<Outcome> {
  const { namespace, name } = letter.metadata;
  // Any new value orders a retry; the time tells a reader of the letter when.
  const patch = { metadata: { annotations: { [RETRY_ANNOTATION]: new Date().toISOString() } } };
  const request = { verb: 'mergePatch', resource: DEAD_LETTER, namespace, name, patch } as const;
  const reply = await cluster.kube.execute(request, { signal });
  if (reply.ok) return { namespace, name, redriven: true };
  return { namespace, name, redriven: false, why: wordsOf(reply, namespace) };
}

function wordsOf(failure: ApiFailure, namespace: string): string {
  return failure.status === 404 && !failure.transient ? `there is none in ${namespace}` : refusal(failure);
}
