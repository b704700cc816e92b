/**
 * Everyone beside the operator in a random history: the provider, who is paid, answers and calls back; the sidecar with
 * its spool; and people, who delete, repair, forbid and redrive.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../src/api/deadletter.ts';
import type { Protocol } from '../../../src/core/protocol.ts';
import type { StoredObject } from '../model-api.ts';
import type { Call, SpoolRecord, World } from './world.ts';
import { CAPTCHA_TASK, DEAD_LETTER, RETRY_ANNOTATION, SECRET } from '../../../src/api/names.ts';
import { receiveCallback } from '../../../src/core/callback/callback.ts';
import { isFinished } from '../../../src/core/task/transitions.ts';
import { answerCall } from './operator.ts';
import { PERMANENT_WORD, RETRIABLE_WORD, SOLUTION_SECRET, TASK, chance, createTask, note, pick } from './world.ts';

/** No status and no letter can hold this; only a Secret can. */
export const HUGE = 'x'.repeat(12_289);

/** One that is listed, and one that nobody knows. */
const URL_REFUSALS = ['ERROR_IP_ADDRES', 'ERROR_PINGBACK'] as const;
/** An order without a callback URL has had all of them. */
const MAX_CALLBACKS = 2;

/** The provider takes a submission that was sent (and is paid for it), refuses its URL, or answers a call. */
export function serveCall(world: World): void {
  const call = pick(world, world.calls);
  if (call === undefined) return;
  if (call.kind === 'submit' && isUnserved(call) && !chance(world, 0.02)) {
    serveSubmission(world, call);
    return;
  }
  world.calls.splice(world.calls.indexOf(call), 1);
  answerCall(world, call);
}

function serveSubmission(world: World, call: Extract<Call, { kind: 'submit' }>): void {
  const { uid, attempt, carried } = call;
  if (carried && chance(world, 0.15)) {
    call.refused = pick(world, URL_REFUSALS) ?? URL_REFUSALS[0];
    note(world, `the provider refuses the callback URL of attempt ${attempt}: ${call.refused}`);
    return;
  }
  const id = String(1_000 + world.orders.length);
  call.order = { id, uid, attempt, callbacks: carried ? 0 : MAX_CALLBACKS };
  world.orders.push(call.order);
  note(world, `the provider accepts attempt ${attempt} of ${uid} as ${id}`);
}

function isUnserved({ order, refused }: Extract<Call, { kind: 'submit' }>): boolean {
  return order === undefined && refused === undefined;
}

export function solveOrder(world: World): void {
  const order = pick(
    world,
    world.orders.filter(({ answer }) => answer === undefined),
  );
  if (order === undefined) return;
  const solved = `solution-${order.id}`;
  if (chance(world, 0.15)) order.answer = { refused: chance(world, 0.2) ? PERMANENT_WORD : RETRIABLE_WORD };
  else order.answer = { value: chance(world, 0.1) ? `${solved}-${HUGE}` : solved };
  note(world, `the provider has an answer for ${order.id}: ${JSON.stringify(order.answer).slice(0, 60)}`);
}

/** The provider keeps an answer for a while only. */
export function forgetOrder(world: World): void {
  const order = pick(
    world,
    world.orders.filter(({ answer }) => answer !== undefined),
  );
  if (order === undefined) return;
  order.forgotten = true;
  note(world, `the provider forgets ${order.id}`);
}

/** A callback that the sidecar answered 200. Some come twice, some never. */
export function callBack(world: World): void {
  const order = pick(
    world,
    world.orders.filter(({ answer, callbacks }) => answer !== undefined && callbacks < MAX_CALLBACKS),
  );
  if (order?.answer === undefined) return;
  order.callbacks += 1;
  const code = 'value' in order.answer ? order.answer.value : order.answer.refused;
  const { uid, attempt, id } = order;
  if (code.length > 12_288) return;
  world.spool.push({ uid, attempt, id, code, receivedTime: world.now });
  note(world, `a callback for ${id} is in the spool`);
}

/** One delivery of a record; it is released only by a verdict that is not `retry`. */
export function* drainRecord(world: World, record: SpoolRecord): Protocol<void> {
  const { uid, attempt, id, code, receivedTime } = record;
  const claims = { kid: 'k', namespace: 'default', name: TASK, uid, attempt };
  // The first try may be the intake's, what comes later is the drainer's.
  const write = world.now > receivedTime ? 'put' : 'patch';
  const verdict = yield* receiveCallback(
    claims,
    { id, code },
    { now: world.now, receivedTime, write, onFailure: 'letter' },
  );
  note(world, `sidecar: callback for ${id}: ${verdict.kind}`);
  if (verdict.kind === 'retry') return;
  if (verdict.kind === 'late') checkLate(world, uid, verdict.why);
  if (verdict.kind === 'deadLettered') world.kept.push({ uid, value: code });
  world.spool = world.spool.filter((other) => other !== record);
}

/** Whoever drops a result as late must be right at that moment, however old the caches are. */
function checkLate(world: World, uid: string, why: string): void {
  const task = world.api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK);
  const ours = task?.metadata.uid === uid ? task : undefined;
  const wrong = why === 'finished' ? ours !== undefined && !isFinished(ours) : ours !== undefined;
  if (wrong && ['finished', 'gone', 'recreated'].includes(why))
    throw new Error(`a result was dropped as ${why}, wrongly`);
}

/** The spool survives; what was under way does not. */
export function restartSidecar(world: World): void {
  note(world, 'the sidecar is killed');
  for (const record of world.spool) record.actor = undefined;
}

const foreign = {
  kind: 'Secret',
  metadata: { name: SOLUTION_SECRET, namespace: 'default', uid: 'foreign' },
  data: { value: 'Zm9yZWlnbg==' },
};

export function placeForeignSecret(world: World): void {
  if (world.api.read(SECRET.plural, SOLUTION_SECRET) !== undefined) return;
  note(world, 'somebody creates a Secret of that name');
  world.api.seed(SECRET.plural, foreign);
}

export function removeForeignSecret(world: World): void {
  const secret = world.api.read(SECRET.plural, SOLUTION_SECRET);
  if (secret === undefined || isOwnedByLivingTask(world, secret)) return;
  note(world, 'the Secret that is not ours is deleted');
  world.api.remove(SECRET.plural, SOLUTION_SECRET);
}

/** A Secret of a deleted task is garbage, and is collected some time. */
function isOwnedByLivingTask(world: World, secret: StoredObject): boolean {
  const uid = world.api.read(CAPTCHA_TASK.plural, TASK)?.metadata.uid;
  return secret.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
}

export function togglePermission(world: World): void {
  const which = pick(world, ['solutions', 'letters', 'secrets'] as const) ?? 'letters';
  world.forbidden[which] = !world.forbidden[which];
  note(world, `${which} are ${world.forbidden[which] ? 'refused' : 'allowed'} from now on`);
}

export function redriveLetter(world: World): void {
  const letter = pick(world, world.api.all<DeadLetter>(DEAD_LETTER.plural));
  if (letter === undefined) return;
  world.redrives += 1;
  note(world, `somebody redrives ${letter.metadata.name}`);
  const annotations = { [RETRY_ANNOTATION]: String(world.redrives) };
  world.api.seed(DEAD_LETTER.plural, { ...letter, metadata: { ...letter.metadata, annotations } });
}

export function deleteLetter(world: World): void {
  const letter = pick(world, world.api.all<DeadLetter>(DEAD_LETTER.plural));
  if (letter === undefined) return;
  note(world, `somebody deletes ${letter.metadata.name}`);
  world.discarded.add(letter.spec.taskRef.uid);
  world.api.remove(DEAD_LETTER.plural, letter.metadata.name);
}

export function deleteOrRecreateTask(world: World): void {
  if (world.api.read(CAPTCHA_TASK.plural, TASK) === undefined) return createTask(world);
  note(world, 'somebody deletes the task');
  world.api.remove(CAPTCHA_TASK.plural, TASK);
}
