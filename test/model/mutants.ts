/**
 * The product with one thing wrong, each in a world where that must be found: a wrong order of writes, a check left out,
 * something forgotten. A mutant that is not caught means that the model has become blind.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../src/api/names.ts';
import type { ApiReply, ApiRequest, Protocol } from '../../src/core/protocol.ts';
import type { Desk, StepEffect, StepEnd } from '../../src/core/task/steps.ts';
import { intended, isUnresolved } from '../../src/core/task/transitions.ts';
import { LETTERS, NAMED, type Configuration } from './configurations.ts';
import { NO_END } from './explore.ts';
import { PRODUCT, type Product } from './product.ts';
import { NOW, momentOf } from './time.ts';
import { type Wrapping, wrapped, writes } from './wrap.ts';

export interface Mutant {
  world: Configuration;
  /** The sentence of `invariants.ts` that it breaks. */
  breaks: string;
  product: Product;
  /** It takes more than a second to find. */
  late?: true;
}

export const TWICE = 'the provider accepted one attempt twice';
export const UNCOUNTED =
  'the provider accepted more than the first submission, the allowed retries and the counted unknowns';
export const UNWRITTEN = 'status knows of fewer attempts than the provider accepted';
const NEEDLESS = 'a submission is called unknown although its reply was still to come';
const LOST_RESULT = 'a result that was answered 200 is nowhere';
export const LOST_WORD = 'a word that was answered 200 is nowhere';
const FOREIGN_WORD = 'an attempt was ended by what was not said about it';
const LETTER_FAILED = 'a task failed while a letter holds its result';
const FOREIGN_RESULT = 'a task was solved by what is no result of its attempt';

type StepOf = Product['stepOf'];

/** The steps, with those of one kind changed. */
function withStep(
  kind: StepEffect['kind'],
  change: (step: Protocol<StepEnd>, order: { task: CaptchaTask; desk: Desk; effect: StepEffect }) => Protocol<StepEnd>,
): Product {
  const stepOf: StepOf = (task, desk, effect) => {
    const step = PRODUCT.stepOf(task, desk, effect);
    return effect.kind === kind ? change(step, { task, desk, effect }) : step;
  };
  return { ...PRODUCT, stepOf };
}

function withReceive(wrapping: Wrapping): Product {
  const { protocols } = PRODUCT;
  return { ...PRODUCT, protocols: { ...protocols, receive: (args) => wrapped(protocols.receive(args), wrapping) } };
}

function withDecision(change: (decided: ReturnType<Product['decide']>, task: CaptchaTask) => typeof decided): Product {
  return { ...PRODUCT, decide: (facts, moment, policy) => change(PRODUCT.decide(facts, moment, policy), facts.task) };
}

function withMemories(change: Partial<Product['memories']>): Product {
  return { ...PRODUCT, memories: { ...PRODUCT.memories, ...change } };
}

/** As if a write had been answered 200. */
function taken(request: ApiRequest, task: CaptchaTask): ApiReply {
  const { status } = (request as { object: CaptchaTask }).object;
  return { ok: true, object: { ...task, status } };
}

function isQuorumRead(request: ApiRequest): request is Extract<ApiRequest, { verb: 'get' }> {
  return request.verb === 'get' && request.read === 'quorum';
}

function isLetter(request: ApiRequest): boolean {
  return request.verb === 'create' && request.resource.plural === DEAD_LETTER.plural;
}

function* forgetsAfterwards(step: Protocol<StepEnd>, desk: Desk): Protocol<StepEnd> {
  const end = yield* step;
  desk.remember((memory) => PRODUCT.memories.replySettled(memory));
  return end;
}

function sameAgain({ rule, effect }: ReturnType<Product['decide']>, task: CaptchaTask): ReturnType<Product['decide']> {
  if (effect === undefined) return { rule };
  if (effect.kind !== 'writeIntent' || !isUnresolved(task)) return { rule, effect };
  const { by } = effect;
  return { rule, effect: { ...effect, status: intended(task, { by, pingback: true, sameAttempt: true }, NOW) } };
}

function uncounted({ rule, effect }: ReturnType<Product['decide']>, task: CaptchaTask): ReturnType<Product['decide']> {
  if (effect === undefined) return { rule };
  if (effect.kind !== 'writeIntent') return { rule, effect };
  const { unknownSubmissions = 0 } = task.status ?? {};
  return { rule, effect: { ...effect, status: { ...effect.status, unknownSubmissions } } };
}

/** The mark of a letter is written after the letter. */
function* letterFirst<Verdict>(protocol: Protocol<Verdict>): Protocol<Verdict> {
  let late: ApiRequest | undefined;
  let seen: CaptchaTask | undefined;
  let step = protocol.next();
  while (step.done !== true) {
    const request = step.value;
    if (marks(request) && late === undefined) {
      late = request;
      step = protocol.next({ ok: true, object: markedCopy(request, seen) });
      continue;
    }
    const reply: ApiReply = yield request;
    if (reply.ok && request.resource.plural === CAPTCHA_TASK.plural) seen = reply.object as CaptchaTask;
    if (isLetter(request) && late !== undefined) yield late;
    step = protocol.next(reply);
  }
  return step.value;
}

function marks(request: ApiRequest): boolean {
  const isMore = writes(request, 'solution') || JSON.stringify(request).includes('"confirmed":true');
  return writes(request, 'deadLetter') && !isMore;
}

/** The task as it would be after that write. */
function markedCopy(request: ApiRequest, task: CaptchaTask | undefined): object {
  if (request.verb === 'replaceStatus') return { ...task, ...request.object };
  const changes = request.verb === 'patchStatus' ? request.patch.filter(({ op }) => op !== 'test') : [];
  const changed = Object.fromEntries(changes.map(({ path, value }) => [path.slice('/status/'.length), value]));
  return { ...task, status: { ...task?.status, ...changed } };
}

const { two: TWO, one: ONE, callbacks: CALLBACKS, timely: TIMELY, lagging: LAGGING } = NAMED;

export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'the provider is called whatever became of the intent': {
    world: TWO,
    breaks: TWICE,
    product: withStep('writeIntent', (step, { task }) =>
      wrapped(step, { reply: (reply, request) => (request.verb === 'replaceStatus' ? taken(request, task) : reply) }),
    ),
  },
  'an intent whose reply was lost is taken for written': {
    world: { ...TWO, lossy: 'writes', delayed: true },
    breaks: UNWRITTEN,
    product: withStep('writeIntent', (step, { task }) =>
      wrapped(step, {
        reply: (reply, request) =>
          request.verb === 'replaceStatus' && !reply.ok && reply.transient ? taken(request, task) : reply,
      }),
    ),
  },
  'status is written without its version': { world: TWO, breaks: TWICE, product: { ...PRODUCT, unchecked: 'status' } },
  'a write that comes late is not checked against its version': {
    world: { operators: 1, backoffLimit: 0, looks: ['nothing'], refusals: true, lossy: 'writes', delayed: true },
    breaks: TWICE,
    product: { ...PRODUCT, unchecked: 'status' },
  },
  'an intent is good for two calls': {
    world: ONE,
    breaks: TWICE,
    product: withMemories({ callSent: (memory) => memory }),
  },
  'what is unknown is taken for refused': {
    world: ONE,
    breaks: TWICE,
    product: withMemories({
      callEnded: (memory, { by, outcome }, mono) =>
        PRODUCT.memories.callEnded(memory, { by, outcome: outcome.kind === 'unknown' ? NOT_SENT : outcome }, mono),
    }),
  },
  'the same number is used again after an unknown submission': {
    world: ONE,
    breaks: TWICE,
    product: withDecision(sameAgain),
  },
  'an unknown submission is not counted': { world: ONE, breaks: UNCOUNTED, product: withDecision(uncounted) },
  'an accepted id is not recorded again after a failure': {
    world: { ...TIMELY, lossy: 'writes' },
    breaks: NEEDLESS,
    product: withStep('recordReply', (step, { desk }) => forgetsAfterwards(step, desk)),
  },
  'an unknown submission is sent again at once': {
    world: TIMELY,
    breaks: NEEDLESS,
    product: {
      ...PRODUCT,
      decide(facts, moment, policy) {
        const { memory, task } = facts;
        const isForeign = isUnresolved(task) && memory.intent?.by !== task.status?.submission?.intentBy;
        return isForeign
          ? PRODUCT.decide({ ...facts, watchedMs: 1e9 }, momentOf('every grace'), policy)
          : PRODUCT.decide(facts, moment, policy);
      },
    },
  },
  'an intent in doubt is never looked for': {
    late: true,
    world: { ...ONE, lossy: 'reads too' },
    breaks: NO_END,
    product: withStep('settleDoubt', (_step, { desk }) => doNothing(desk)),
  },
  'the sidecar says 200 before anything is durable': {
    world: CALLBACKS,
    breaks: LOST_RESULT,
    product: { ...PRODUCT, acknowledges: 'at once' },
  },
  'an old copy proves that a callback is late': {
    world: LAGGING,
    breaks: LOST_RESULT,
    product: withReceive({
      request: (request) => (isQuorumRead(request) ? { ...request, read: 'cached' } : request),
    }),
  },
  'a word of another attempt ends the current one': {
    world: { ...CALLBACKS, backoffLimit: 1 },
    breaks: FOREIGN_WORD,
    product: {
      ...PRODUCT,
      protocols: { ...PRODUCT.protocols, receive: (args) => forWhicheverAttempt(args) },
    },
  },
  'a poll ends whichever attempt is current': {
    late: true,
    world: { ...CALLBACKS, backoffLimit: 1 },
    breaks: FOREIGN_WORD,
    product: {
      ...withMemories({
        sighted(memory, task, mono) {
          const open = task.status?.submission;
          const id = open?.captchaID;
          const answer = memory.refusal?.answer;
          const seen = PRODUCT.memories.sighted(memory, task, mono);
          if (open === undefined || id === undefined || answer === undefined) return seen;
          return { ...seen, refusal: { of: { attempt: open.attempt, captchaID: id }, answer } };
        },
      }),
      pollAnswered: (memory, poll, moment, policy) =>
        poll.outcome.kind === 'refused'
          ? { ...memory, refusal: { of: { attempt: 1, captchaID: '' }, answer: poll.outcome } }
          : PRODUCT.pollAnswered(memory, poll, moment, policy),
    },
  },
  'a result is written whatever the task is by now': {
    world: { ...LAGGING, callbacks: { each: 1 } },
    breaks: FOREIGN_RESULT,
    product: withReceive({
      request: (request) =>
        request.verb === 'patchStatus'
          ? { ...request, patch: request.patch.filter(({ op }) => op !== 'test') }
          : request,
    }),
  },
  'a letter is created before its task is marked': {
    late: true,
    world: LETTERS,
    breaks: LETTER_FAILED,
    product: {
      ...PRODUCT,
      protocols: { ...PRODUCT.protocols, receive: (args) => letterFirst(PRODUCT.protocols.receive(args)) },
    },
  },
  'an old copy proves that a word is about no attempt': {
    world: { ...CALLBACKS, backoffLimit: 1, callbacks: { each: 1, lag: true } },
    breaks: LOST_WORD,
    product: withReceive({
      request: (request) => (isQuorumRead(request) ? { ...request, read: 'cached' } : request),
    }),
  },
  'the spool lets go of a result before its letter exists': {
    world: LETTERS,
    breaks: LOST_RESULT,
    product: withReceive({ instead: (request) => (isLetter(request) ? { ok: true, object: {} } : undefined) }),
  },
};

const NOT_SENT = { kind: 'notSent' } as const;

// oxlint-disable-next-line require-yield -- a step that asks for nothing
function* doNothing(_desk: Desk): Protocol<StepEnd> {
  return 'failed';
}

/** The callback is judged as if it were of the attempt that the task shows. */
function* forWhicheverAttempt(args: Parameters<Product['protocols']['receive']>[0]) {
  const reading = PRODUCT.protocols.receive(args).next();
  if (reading.done === true) return reading.value;
  const reply: ApiReply = yield reading.value;
  const attempt = reply.ok ? ((reply.object as CaptchaTask).status?.attempts ?? args.attempt) : args.attempt;
  const protocol = PRODUCT.protocols.receive({ ...args, attempt });
  protocol.next();
  let step = protocol.next(reply);
  while (step.done !== true) step = protocol.next(yield step.value);
  return step.value;
}
