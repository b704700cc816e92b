/**
 * Plays one random history and judges it. First a wild part, in which anybody may act between any two requests; then
 * every cause is removed and everyone is given time, until nothing is left to do. What must hold then is the contract:
 * no kept result lost, at most one solution, no second payment that was not counted, every letter at an end.
 */
import type { CaptchaTask, Solution } from '../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../src/api/deadletter.ts';
import type { StoredObject } from '../model-api.ts';
import type { Actor, World } from './world.ts';
import { CAPTCHA_TASK, CONFIG_MAP, DEAD_LETTER, SECRET } from '../../../src/api/names.ts';
import { phaseOf } from '../../../src/core/deadletter/facts.ts';
import { type Entry, parseEntries } from '../../../src/core/journal/entry.ts';
import { isFinished } from '../../../src/core/task/transitions.ts';
import { answerCall, changeLeader, letterPass, restartOperator, taskPass, watchLetter, watchTask } from './operator.ts';
import { PLACE, journalPass } from './journal.ts';
import * as others from './others.ts';
import { judgeEnds } from './ends.ts';
import { SOLUTION_SECRET, TASK, advance, chance, createWorld, demand, landLate, note, pick } from './world.ts';

const WILD_STEPS = 240;
/** Rounds of a quarter of a minute to some minutes; a budget of retries and a time to live fit in. */
const MAX_QUIET_ROUNDS = 400;

export interface HistoryEnd {
  /** `gone`, or the reason of `Solved`, with the source of a solution. */
  task: string;
  letters: number;
}

type Action = [weight: number, act: (world: World) => void];

const ACTIONS: readonly Action[] = [
  [40, operatorStep],
  [40, journalStep],
  [24, letterStep],
  [24, sidecarStep],
  [18, others.serveCall],
  [8, others.solveOrder],
  [0.4, others.forgetOrder],
  [8, others.callBack],
  [6, landLate],
  [10, watchSome],
  [9, passTime],
  [1, stepClock],
  [0.8, restartOne],
  [0.8, changeLeader],
  [1.5, others.restartSidecar],
  [4, others.placeForeignSecret],
  [2, others.removeForeignSecret],
  [2, others.togglePermission],
  [2, others.redriveLetter],
  [0.4, others.deleteLetter],
  [0.25, others.deleteOrRecreateTask],
];
const TOTAL = ACTIONS.reduce((sum, [weight]) => sum + weight, 0);

/** Throws with the broken rule; `traced` puts what happened into the message. */
export function playHistory(seed: number, traced = false): HistoryEnd {
  const world = createWorld(seed, traced);
  try {
    for (const operator of world.operators) {
      world.operator = operator;
      watchTask(world, 0);
    }
    [world.operator] = world.operators;
    if (chance(world, 0.8)) run(world, { work: journalPass(world) });
    for (let step = 0; step < WILD_STEPS; step += 1) chooseAction(world)(world);
    settleDown(world);
    return judge(world);
  } catch (error) {
    const story = world.trace === undefined ? '' : `\n${world.trace.join('\n')}`;
    throw new Error(`history ${seed}: ${error instanceof Error ? error.message : String(error)}${story}`, {
      cause: error,
    });
  }
}

function chooseAction(world: World): Action[1] {
  let point = world.random() * TOTAL;
  for (const [weight, act] of ACTIONS) {
    point -= weight;
    if (point < 0) return act;
  }
  return passTime;
}

/** From here on it is the turn of one of the two operators. */
function turnOfOne(world: World): World {
  world.operator = pick(world, world.operators) ?? world.operator;
  return world;
}

function restartOne(world: World): void {
  restartOperator(turnOfOne(world));
}

function operatorStep(world: World): void {
  const { operator } = turnOfOne(world);
  operator.actor ??= { work: taskPass(world) };
  if (advance(world, operator.actor)) operator.actor = undefined;
}

function journalStep(world: World): void {
  const { operator } = turnOfOne(world);
  operator.writer ??= { work: journalPass(world) };
  if (advance(world, operator.writer)) operator.writer = undefined;
}

/** Letters are worked on side by side, but never two of one task (`busy`). */
function letterStep(world: World): void {
  const { operator } = turnOfOne(world);
  const name = pick(world, [...operator.letters.keys(), ...operator.retries.keys()]);
  if (name === undefined) return;
  const actor: Actor = operator.retries.get(name) ?? { work: letterPass(world, name) };
  if (advance(world, actor)) operator.retries.delete(name);
  else operator.retries.set(name, actor);
}

function sidecarStep(world: World): void {
  const record = pick(world, world.spool);
  if (record === undefined) return;
  record.actor ??= { work: others.drainRecord(world, record) };
  if (advance(world, record.actor)) record.actor = undefined;
}

function watchSome(world: World): void {
  watchTask(turnOfOne(world), Math.floor(world.random() * 3));
  const letter = pick(world, [...world.operator.letters.keys(), ...world.api.all(DEAD_LETTER.plural).map(nameOf)]);
  if (letter !== undefined) watchLetter(world, letter);
}

function passTime(world: World): void {
  const ms =
    pick(world, [200, 200, 1_000, 1_000, 1_000, 6_000, 6_000, 6_000, 20_000, 20_000, 60_000, 200_000]) ?? 1_000;
  world.now += ms;
  world.mono += ms;
}

function stepClock(world: World): void {
  world.now += Math.floor((world.random() - 0.5) * 240_000);
  note(world, 'the wall clock is set');
}

/** Every cause is removed, everyone is heard, time passes: until nothing is left to do. */
function settleDown(world: World): void {
  note(world, '--- everything is repaired');
  world.outage = 0;
  while (world.late.length > 0) landLate(world);
  // The holder looks for longer than a request can be on its way.
  for (const { journal } of world.operators) journal.looks = 1;
  world.operators[0].leads = true;
  world.operators[1].leads = false;
  world.forbidden = { solutions: false, letters: false, secrets: false };
  others.removeForeignSecret(world);
  for (let round = 0; round < MAX_QUIET_ROUNDS; round += 1) {
    others.removeForeignSecret(world);
    everyoneActs(world);
    if (isQuiet(world)) return;
    passQuietTime(world, round);
  }
  throw new Error(`not settled: ${JSON.stringify(leftOver(world))}`);
}

function everyoneActs(world: World): void {
  for (let turn = 0; turn < 6; turn += 1) {
    for (const operator of world.operators) {
      world.operator = operator;
      operatorActs(world);
    }
    for (const record of world.spool) {
      run(world, record.actor ?? { work: others.drainRecord(world, record) });
      record.actor = undefined;
    }
    for (const order of world.orders) order.answer ??= { value: `solution-${order.id}` };
    for (const call of world.calls.splice(0)) answerCall(world, call);
  }
}

function operatorActs(world: World): void {
  const { operator } = world;
  if (operator.actor !== undefined) run(world, operator.actor);
  operator.actor = undefined;
  for (const actor of operator.retries.values()) run(world, actor);
  operator.retries.clear();
  watchTask(world, 0);
  if (operator.writer !== undefined) run(world, operator.writer);
  operator.writer = undefined;
  run(world, { work: journalPass(world) });
  for (const name of [...operator.letters.keys(), ...world.api.all(DEAD_LETTER.plural).map(nameOf)]) {
    watchLetter(world, name);
  }
  run(world, { work: taskPass(world) });
  for (const name of operator.letters.keys()) run(world, { work: letterPass(world, name) });
}

function run(world: World, actor: Actor): void {
  for (let requests = 0; !advance(world, actor); requests += 1) {
    if (requests > 200) throw new Error('a piece of work does not end');
  }
}

function passQuietTime(world: World, round: number): void {
  const ms = round < 40 ? 15_000 : 300_000;
  world.now += ms;
  world.mono += ms;
}

function isQuiet(world: World): boolean {
  const task = world.api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK);
  if (task !== undefined && !isFinished(task)) return false;
  if (entriesLeft(world).length > 0) return false;
  return world.spool.length === 0 && lettersOf(world).every((letter) => phaseOf(letter) !== 'Pending');
}

/** Whoever leads in the end has seen every entry out. */
function entriesLeft({ api }: World): Entry[] {
  return parseEntries(api.read(CONFIG_MAP.plural, PLACE.name)?.data?.['entries'] ?? '');
}

function judge(world: World): HistoryEnd {
  const task = world.api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK);
  const letters = lettersOf(world);
  for (const letter of letters) judgeLetter(world, letter, task);
  judgeEnds(world);
  if (task === undefined) return { task: 'gone', letters: letters.length };
  judgePayments(world, task);
  const { conditions, solution } = task.status ?? {};
  if (solution === undefined) judgeFailure(world, task);
  else judgeSolution(world, task, solution);
  return { task: `${conditions?.[0]?.reason} ${solution?.source ?? ''}`.trim(), letters: letters.length };
}

function judgeLetter(world: World, letter: DeadLetter, task: CaptchaTask | undefined): void {
  const { status, spec } = letter;
  demand(status?.completionTime !== undefined, `letter ${letter.metadata.name} has an end with a time`);
  if (status?.phase !== 'Resolved' || task?.metadata.uid !== spec.taskRef.uid) return;
  demand(task.status?.solution?.source === 'DeadLetter', 'a resolved letter solved its task');
  demand(valueOf(world, task) === spec.payload.code, 'a resolved letter put its own content there');
}

function judgePayments(world: World, { metadata, spec, status }: CaptchaTask): void {
  const paid = world.orders.filter((order) => order.uid === metadata.uid).length;
  const allowed = 1 + spec.backoffLimit + (status?.unknownSubmissions ?? 0);
  const attempts = new Set(world.orders.map((order) => `${order.uid}/${order.attempt}`));
  demand(attempts.size === world.orders.length, 'no attempt is paid twice');
  demand(paid <= allowed, `no payment beyond the attempts allowed and counted: ${paid} > ${allowed}`);
}

function judgeSolution(world: World, task: CaptchaTask, solution: Solution): void {
  const { uid } = task.metadata;
  const origin = world.orders.find((order) => order.id === solution.captchaID);
  const value = origin?.answer !== undefined && 'value' in origin.answer ? origin.answer.value : undefined;
  demand(origin?.uid === uid && origin.attempt === solution.attempt, 'the solution names the attempt it came from');
  demand(value === valueOf(world, task), 'the solution is what the provider gave under that id');
}

function judgeFailure(world: World, task: CaptchaTask): void {
  const { uid } = task.metadata;
  const kept = world.kept.some((result) => result.uid === uid && couldBeStored(task, result.value));
  const abandoned = lettersOf(world).some(({ status }) => status?.phase === 'Abandoned');
  const lost = kept && !abandoned && !world.discarded.has(uid);
  demand(!lost, `a task whose result is kept in a letter is solved, not ${task.status?.conditions?.[0]?.reason}`);
}

function couldBeStored(task: CaptchaTask, value: string): boolean {
  return task.spec.solutionSecretName !== undefined || value.length <= 12_288;
}

/** The solution's text, from status or from the task's own Secret. */
function valueOf(world: World, { metadata, status }: CaptchaTask): string | undefined {
  const { solution } = status ?? {};
  if (solution?.secretRef === undefined) return solution?.value;
  const secret = world.api.read(SECRET.plural, SOLUTION_SECRET);
  const [owner] = secret?.metadata.ownerReferences ?? [];
  return owner?.uid === metadata.uid ? textIn(secret) : undefined;
}

function textIn(secret: StoredObject | undefined): string {
  return atob(secret?.data?.['value'] ?? '');
}

function lettersOf(world: World): DeadLetter[] {
  return world.api.all<DeadLetter>(DEAD_LETTER.plural);
}

function nameOf(object: StoredObject): string {
  return object.metadata.name;
}

function leftOver(world: World): object {
  const letters = lettersOf(world).map(({ status }) => status);
  return { task: world.operator.task?.status, letters, spool: world.spool.length };
}
