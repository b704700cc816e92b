/** The product with one thing wrong about the intent journal; as `mutants.ts` has them about everything else. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { ApiRequest, Protocol } from '../../src/core/protocol.ts';
import { isShown, withEntry } from '../../src/core/journal/overlay.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import type { Configuration } from './configurations.ts';
import { LOST_WORD, type Mutant, TWICE, UNWRITTEN } from './mutants.ts';
import { PRODUCT, type Product } from './product.ts';
import { lookAtEntry } from './room.ts';
import { momentOf } from './time.ts';
import { wrapped } from './wrap.ts';

const LOST_ID = 'an id that the journal held is nowhere';
const NOT_KNOWN = 'a submission is called unknown although its reply was still to come';
const ONE: Configuration = { journal: 'kept', operators: 1, backoffLimit: 0, looks: ['nothing', 'every grace'] };
const TWO: Configuration = { ...ONE, operators: 2, once: true, looks: ['nothing'], takeOvers: 1 };

function withJournal(change: Partial<Product['journal']>): Product {
  return { ...PRODUCT, journal: { ...PRODUCT.journal, ...change } };
}

function withMemories(change: Partial<Product['memories']>): Product {
  return { ...PRODUCT, memories: { ...PRODUCT.memories, ...change } };
}

/** Whoever is the holder by the object that was read, it is this process. */
const withoutHolders: Product['journal']['writeJournal'] = (journal, batch) =>
  wrapped(PRODUCT.journal.writeJournal(journal, batch), {
    reply: (reply, { verb }) =>
      reply.ok && verb === 'get' ? { ok: true, object: ofHolder(reply.object, journal.holder) } : reply,
  });

function ofHolder(object: unknown, holder: string): object {
  const { data, ...rest } = object as { data: object };
  return { ...rest, data: { ...data, holder } };
}

/** The journal is read and not written. */
const onlyRead: Product['journal']['takeOver'] = (journal) => {
  let read: unknown;
  return wrapped(PRODUCT.journal.takeOver(journal), {
    instead: ({ verb }) => (verb === 'replace' ? { ok: true, object: read } : undefined),
    reply(reply, { verb }) {
      if (reply.ok && verb === 'get') read = reply.object;
      return reply;
    },
  });
};

/** As it was before: a word about a submission that status does not show is about no attempt. */
function adopts(request: ApiRequest): boolean {
  return request.verb === 'replaceStatus' && JSON.stringify(request.object).includes('"intentBy":"adopted"');
}

function* finishedIsShown(protocol: Protocol<unknown>): Protocol<unknown> {
  return yield* wrapped(protocol, {
    reply: (reply, { verb }) =>
      reply.ok && verb === 'get' && isFinished(reply.object as CaptchaTask)
        ? { ok: false, status: 404, reason: 'NotFound', message: '', transient: false, sent: true }
        : reply,
  });
}

export const JOURNAL_MUTANTS: Readonly<Record<string, Mutant>> = {
  'the tasks are not listed anew after the journal was taken over': {
    world: TWO,
    breaks: TWICE,
    product: { ...PRODUCT, relists: false },
  },
  'an entry goes because of a copy that the cache has not seen': {
    world: { ...ONE, unknowns: true, callbacks: { each: 1 } },
    breaks: TWICE,
    product: {
      ...PRODUCT,
      lookAt(sight) {
        const { newest, entry, operator } = sight;
        const isAnswered = operator.memory.value.intent?.call === 'ended';
        if (isAnswered && newest?.value.metadata.uid === entry.uid && isShown(newest.value, entry)) return 'goes';
        return PRODUCT.lookAt(sight);
      },
    },
  },
  'whoever takes the journal over only reads it, and goes on after a conflict': {
    world: TWO,
    breaks: TWICE,
    product: withJournal({ takeOver: onlyRead, writeJournal: withoutHolders }),
  },
  'whoever finds another holder after a conflict goes on': {
    world: TWO,
    breaks: TWICE,
    product: withJournal({ writeJournal: withoutHolders }),
  },
  'an old copy of another task of that name proves that an entry may go': {
    late: true,
    world: { ...TWO, recreates: true },
    breaks: TWICE,
    product: {
      ...PRODUCT,
      lookAt(sight) {
        const { operator, entry } = sight;
        const { uid } = operator.cache?.value.metadata ?? { uid: entry.uid };
        return uid === entry.uid ? PRODUCT.lookAt(sight) : 'goes';
      },
    },
  },
  'an entry goes while its call is open': {
    world: ONE,
    breaks: UNWRITTEN,
    product: {
      ...PRODUCT,
      lookAt: (sight) => lookAtEntry(sight, () => sight.operator.memory.value.intent?.call === 'underWay'),
    },
  },
  'an accepted id is kept in memory and its entry goes': {
    world: ONE,
    breaks: UNWRITTEN,
    product: {
      ...PRODUCT,
      decide(facts, moment, policy) {
        const decided = PRODUCT.decide(facts, moment, policy);
        if (decided.effect?.kind !== 'recordReply' || facts.entry === undefined) return decided;
        return { rule: decided.rule, effect: { kind: 'dropEntry', by: facts.entry.by, rest: {} } };
      },
    },
  },
  'an entry with an id goes when status counts its attempt, be it without the id': {
    world: { ...TWO, crowds: true, takeOvers: 2 },
    breaks: LOST_ID,
    product: {
      ...PRODUCT,
      lookAt: (sight) => lookAtEntry(sight, (task, { captchaID: _id, ...entry }) => isShown(task, entry)),
    },
  },
  'an id is forgotten as soon as it is on its way into the journal': {
    world: { ...ONE, crowds: true, lossy: 'writes', timely: true },
    breaks: NOT_KNOWN,
    product: {
      ...PRODUCT,
      decide(facts, moment, policy) {
        const decided = PRODUCT.decide(facts, moment, policy);
        return facts.record === 'entering' && facts.memory.reply !== undefined
          ? { rule: decided.rule, effect: { kind: 'settleReply', conflict: false } }
          : decided;
      },
    },
  },
  'an entry that was found is no submission': {
    world: { ...ONE, crashes: true },
    breaks: TWICE,
    product: withJournal({
      entryOf(journal, uid, own) {
        const entry = PRODUCT.journal.entryOf(journal, uid);
        return entry?.by === own?.by ? entry : undefined;
      },
    }),
  },
  'the provider is called before the entry is written': {
    world: ONE,
    breaks: UNWRITTEN,
    product: {
      ...withMemories({ entrySent: (memory, by) => PRODUCT.memories.entrySettled(memory, by, true) }),
      journal: { ...PRODUCT.journal, entryOf: ({ entries, writing }, uid) => (writing?.next ?? entries).get(uid) },
    },
  },
  'the journal is written without its version': {
    world: TWO,
    breaks: TWICE,
    product: { ...PRODUCT, unchecked: 'journal' },
  },
  'a word about a submission that status does not show is forgotten': {
    world: { ...ONE, unsolvable: true, callbacks: { each: 1 } },
    breaks: LOST_WORD,
    product: {
      ...PRODUCT,
      protocols: {
        ...PRODUCT.protocols,
        receive: (args) =>
          wrapped(PRODUCT.protocols.receive(args), {
            instead: (request) =>
              adopts(request) ? { ok: true, object: (request as { object: object }).object } : undefined,
          }),
      },
    },
  },
  'a first submission goes by status now and then': {
    world: { ...TWO, looks: ['nothing', 'the fence'] },
    breaks: TWICE,
    product: {
      ...PRODUCT,
      decide(facts, moment, policy) {
        const decided = PRODUCT.decide(facts, moment, policy);
        const { effect } = decided;
        if (effect?.kind !== 'enterIntent' || moment.mono === momentOf('nothing').mono) return decided;
        const { entry, pingbackURL } = effect;
        const { status } = withEntry(facts.task, entry);
        return { rule: decided.rule, effect: { kind: 'writeIntent', status, by: entry.by, pingbackURL } };
      },
    },
  },
  // No mutant: the one loss that the product documents.
  'a person deletes the journal and its holder is killed before it writes again': {
    world: { ...ONE, journal: 'deleted', crashes: true },
    breaks: TWICE,
    product: PRODUCT,
  },
  'an entry of a finished task goes although status counts no attempt': {
    world: { ...TWO, looks: ['nothing', 'the deadline'], waited: true },
    breaks: UNWRITTEN,
    product: {
      ...PRODUCT,
      protocols: {
        ...PRODUCT.protocols,
        settleEntry: (args) =>
          finishedIsShown(PRODUCT.protocols.settleEntry(args)) as ReturnType<typeof PRODUCT.protocols.settleEntry>,
      },
    },
  },
};
