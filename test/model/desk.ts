/**
 * Runs the operator's steps (`core/task/steps`), each of which may be left and taken up again in another direction: what
 * a step did before its last reply is repeated on a desk of its own and thrown away; what it does after that reply is
 * done to the operator as it is then.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { ApiRequest } from '../../src/core/protocol.ts';
import type { TaskMemory } from '../../src/core/task/memory.ts';
import type { Desk, StepEffect, StepEnd } from '../../src/core/task/steps.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import { type Handle, intern } from './intern.ts';
import type { Product } from './product.ts';
import { type Operator, type Work, keyOfWork } from './state.ts';
import { momentOf, timelessMemory } from './time.ts';

/** What a step was begun with. */
export interface StepArgs {
  task: CaptchaTask;
  effect: StepEffect;
  memory: TaskMemory;
}

export type Advanced =
  | { operator: Operator; request: Handle<ApiRequest>; end?: undefined }
  | { operator: Operator; request?: undefined; end: StepEnd };

interface Kept {
  memory: TaskMemory;
  cached: CaptchaTask | undefined;
  /** What the API server holds; undefined in what is only repeated: there every copy was the newest. */
  newest: CaptchaTask | 'any' | undefined;
}

export function beginStep(args: StepArgs): Work {
  return { name: args.effect.kind, args: intern(args), replies: [] };
}

export interface Advances {
  /** The step after its last reply. @param newest the task as it is stored */
  (operator: Operator, work: Work, newest: Handle<CaptchaTask> | undefined): Advanced;
}

export function createAdvances(product: Product): Advances {
  const known = new Map<string, Advanced>();
  return (operator, work, newest) => {
    const { memory, cache } = operator;
    const key = `${keyOfWork(work)},${memory.id},${cache?.id},${newest?.id},${operator.turn}`;
    const before = known.get(key);
    const advanced = before ?? advance(product, { operator, work, newest });
    if (before === undefined) known.set(key, advanced);
    const { memory: after, cache: cached, turn } = advanced.operator;
    return { ...advanced, operator: { ...operator, memory: after, cache: cached, turn } };
  };
}

function advance(
  product: Product,
  { operator, work, newest }: { operator: Operator; work: Work; newest: Handle<CaptchaTask> | undefined },
): Advanced {
  const { task, effect, memory } = work.args.value as StepArgs;
  const real: Kept = { memory: operator.memory.value, cached: operator.cache?.value, newest: newest?.value };
  const desk = createDesk({ memory, cached: task, newest: 'any' });
  const { replies } = work;
  if (replies.length === 0) desk.becomes(real);
  const protocol = product.stepOf(task, desk.desk, effect);
  let step = protocol.next();
  replies.forEach((reply, at) => {
    if (at === replies.length - 1) desk.becomes(real);
    if (step.done !== true) step = protocol.next(reply.value);
  });
  const after = operatorWith(operator, desk.kept(), newest);
  if (step.done !== true) return { operator: after, request: intern(step.value) };
  if (step.value === 'changed') return { operator: after, end: step.value };
  // As `controllers/task/perform`: who failed at its turn gives it up.
  const givenUp = intern(timelessMemory(product.memories.turnGivenUp(after.memory.value)));
  return { operator: { ...after, memory: after.turn ? givenUp : after.memory, turn: false }, end: step.value };
}

function operatorWith(operator: Operator, { memory, cached }: Kept, newest: Handle<CaptchaTask> | undefined): Operator {
  const cache = cached === undefined || cached === newest?.value ? newest : intern(cached);
  return {
    ...operator,
    memory: intern(timelessMemory(memory)),
    cache: cached === undefined ? undefined : cached === operator.cache?.value ? operator.cache : cache,
  };
}

/** The operator after something that asks the API server for nothing. */
export function atDesk(operator: Operator, act: (desk: Desk) => void): Operator {
  const { desk, kept } = createDesk({
    memory: operator.memory.value,
    cached: operator.cache?.value,
    newest: undefined,
  });
  act(desk);
  return { ...operator, memory: intern(timelessMemory(kept().memory)) };
}

function createDesk(first: Kept): { desk: Desk; becomes(kept: Kept): void; kept(): Kept } {
  let kept = first;
  const cached = (copy: CaptchaTask | undefined): void => {
    kept = { ...kept, cached: copy === undefined || isFinished(copy) ? undefined : copy };
  };
  return {
    becomes: (next) => void (kept = next),
    kept: () => kept,
    desk: {
      moment: () => momentOf('nothing'),
      memory: () => kept.memory,
      remember: (change) => void (kept = { ...kept, memory: change(kept.memory) }),
      cached: () => kept.cached,
      // A copy that is not the newest any more may be older than the one in the cache.
      take(copy) {
        const { newest } = kept;
        if (newest === 'any') cached(copy === 'gone' ? undefined : copy);
        else if (copy === 'gone' ? newest === undefined : isVersion(copy, newest)) cached(newest);
      },
      wrote: (_before, after) => cached(after),
      doubt: () => undefined,
      begins: () => undefined,
      note: () => undefined,
    },
  };
}

function isVersion(copy: CaptchaTask, newest: CaptchaTask | undefined): boolean {
  const { uid, resourceVersion } = copy.metadata;
  return uid === newest?.metadata.uid && resourceVersion === newest.metadata.resourceVersion;
}
