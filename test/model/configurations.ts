/**
 * The worlds that are explored, each by itself and completely. What one of them leaves out another one has: together
 * they would be one world of too many states.
 */
import type { Elapsed } from './time.ts';

export interface Configuration {
  operators: 1 | 2;
  backoffLimit: 0 | 1;
  looks: readonly Elapsed[];
  /** Operators are killed at any moment and start again. */
  crashes?: boolean;
  /** They lose and win the lead at any moment, each by its own clock; else all believe to lead for ever. */
  leadChanges?: boolean;
  /** Requests and replies are lost. */
  lossy?: 'writes' | 'reads too';
  /** A write whose sender has given up arrives some time later; one at a time. */
  delayed?: boolean;
  /** The provider refuses submissions: not accepted. */
  refusals?: boolean;
  /** It is not known what became of a call. */
  unknowns?: boolean;
  /** It cannot solve some. */
  unsolvable?: boolean;
  /** It says of some that they can never be solved. */
  hopeless?: boolean;
  /** Without: no submission carries a callback URL. */
  pingback?: boolean;
  callbacks?: {
    /** How many the provider makes for each submission. */
    each: number;
    /** The sidecar may spool one and go on with it. */
    spool?: boolean;
    crashes?: boolean;
    /** Cached reads may be old. */
    lag?: boolean;
  };
  /** The task wants its solution in a Secret; `foreign`: one of that name is in the way, for a while. */
  secret?: 'own' | 'foreign';
  forbidden?: 'letters';
  lettersDeleted?: boolean;
  recreates?: boolean;
  suspends?: boolean;
  /** How often one takes the journal over although another one acts; else without bound. */
  takeOvers?: number;
  /** The task has said before that it waits. */
  waited?: boolean;
  /** What cannot be sent a second time (GeeTestV3): no attempt follows the first. */
  once?: boolean;
  /** First submissions go by the intent journal; else by status, as all others. `deleted`: by a person, once. */
  journal?: 'kept' | 'deleted';
  /** Requests may queue at any look: then ids go into the journal first. */
  crowds?: boolean;
  /** No grace and no deadline is over while anything is still to come: then nothing may become unknown. */
  timely?: boolean;
}

const NO_DEADLINE = ['nothing', 'the fence', 'every grace'] as const;
const ALL = [...NO_DEADLINE, 'the deadline'] as const;

const OPERATOR = { backoffLimit: 0, looks: NO_DEADLINE } as const;

/** Worlds that mutants live in. */
export const NAMED = {
  one: {
    ...OPERATOR,
    operators: 1,
    backoffLimit: 1,
    looks: ALL,
    crashes: true,
    lossy: 'writes',
    refusals: true,
    unknowns: true,
    unsolvable: true,
  },
  two: { ...OPERATOR, operators: 2, refusals: true },
  timely: {
    ...OPERATOR,
    looks: ['nothing', 'every grace'],
    operators: 2,
    timely: true,
    refusals: true,
    unsolvable: true,
  },
  callbacks: {
    ...OPERATOR,
    operators: 1,
    unsolvable: true,
    callbacks: { each: 1, spool: true, crashes: true, lag: true },
  },
  lagging: { ...OPERATOR, operators: 1, recreates: true, callbacks: { each: 1, lag: true } },
} satisfies Record<string, Configuration>;

export const LETTERS: Configuration = {
  ...OPERATOR,
  operators: 1,
  looks: ALL,
  secret: 'foreign',
  callbacks: { each: 1, spool: true, crashes: true },
};

/**
 * First submissions go by the journal; in all worlds before, each by one write of status. No attempt follows the first
 * where it says `once`: what follows does not go by the journal.
 */
const JOURNAL = { ...OPERATOR, looks: ['nothing', 'every grace'], journal: 'kept', operators: 1 } as const;
const JOURNALS = { ...JOURNAL, operators: 2, once: true, takeOvers: 1 } as const;

/** In the unit tier: seconds. */
export const SMALL: Readonly<Record<string, Configuration>> = {
  'one operator that is killed': NAMED.one,
  'two operators, nothing is late': NAMED.timely,
  'callbacks, the spool and old copies': NAMED.callbacks,
  'a Secret of the task, and a death before its status': {
    ...OPERATOR,
    looks: ['nothing', 'the deadline'],
    operators: 1,
    secret: 'own',
    crashes: true,
    callbacks: { each: 1 },
  },
  'letters of polled results, and people who delete them': {
    ...OPERATOR,
    looks: ['nothing', 'the deadline'],
    operators: 1,
    pingback: false,
    secret: 'foreign',
    lettersDeleted: true,
  },
  'the journal of an operator that is killed': { ...JOURNAL, crashes: true, refusals: true, unknowns: true },
  'the journal, and callbacks': { ...JOURNAL, unsolvable: true, callbacks: { each: 1, spool: true, lag: true } },
  'the journal, ids in it, of an operator that is killed': { ...JOURNAL, crowds: true, crashes: true, unknowns: true },
  'the journal, which a person deletes under its holder': {
    ...JOURNAL,
    journal: 'deleted',
    lossy: 'writes',
    refusals: true,
    looks: [...JOURNAL.looks, 'the deadline'],
  },
};

/** A minute or two. */
export const MEDIUM: Readonly<Record<string, Configuration>> = {
  'two operators': NAMED.two,
  'two operators, and calls of which nothing is known': { ...NAMED.two, unknowns: true },
  'two operators that are killed': { ...OPERATOR, operators: 2, crashes: true },
  'letters of an operator that is killed': {
    ...OPERATOR,
    looks: ['nothing', 'the deadline'],
    operators: 1,
    pingback: false,
    secret: 'foreign',
    crashes: true,
  },
  'words that end an attempt or the task, and a lead that changes': {
    ...OPERATOR,
    operators: 1,
    backoffLimit: 1,
    unsolvable: true,
    hopeless: true,
    leadChanges: true,
    callbacks: { each: 1 },
  },
  'one operator, lost replies and a delayed write': {
    ...OPERATOR,
    operators: 1,
    refusals: true,
    unknowns: true,
    crashes: true,
    lossy: 'reads too',
    delayed: true,
  },
  'suspended and resumed': { ...OPERATOR, operators: 1, suspends: true, crashes: true },
  'a retry and callbacks': { ...NAMED.callbacks, backoffLimit: 1, callbacks: { each: 1, spool: true, crashes: true } },
  'suspended and resumed, and callbacks': { ...OPERATOR, operators: 1, suspends: true, callbacks: { each: 1 } },
  'the journal: two operators': JOURNALS,
  'the journal: lost replies and a delayed write': {
    ...JOURNAL,
    once: true,
    refusals: true,
    lossy: 'writes',
    delayed: true,
  },
  'the journal, ids in it, and callbacks': {
    ...JOURNAL,
    crowds: true,
    unsolvable: true,
    callbacks: { each: 1, spool: true, lag: true },
  },
  'the journal, ids in it: lost replies and a delayed write': {
    ...JOURNAL,
    once: true,
    crowds: true,
    refusals: true,
    lossy: 'writes',
    delayed: true,
  },
  'the journal, ids in it: suspended and resumed': { ...JOURNAL, once: true, crowds: true, suspends: true },
  'the journal: suspended and resumed': { ...JOURNAL, once: true, suspends: true, crashes: true },
  'the journal: deleted and created again': { ...JOURNAL, once: true, recreates: true, crashes: true },
};

/** What takes minutes each; only `npm run model` explores them. */
export const LARGE: Readonly<Record<string, Configuration>> = {
  'two operators, and the lead changes': { ...NAMED.two, leadChanges: true },
  'two operators and lost replies': { ...OPERATOR, operators: 2, lossy: 'writes' },
  'two operators and a deadline': { ...NAMED.two, looks: ALL },
  'two operators and a retry': { ...OPERATOR, operators: 2, backoffLimit: 1, unsolvable: true },
  'two operators and callbacks': { ...OPERATOR, operators: 2, callbacks: { each: 1 } },
  'a task is deleted and created again': NAMED.lagging,
  letters: { ...OPERATOR, looks: ['nothing', 'every grace'], operators: 1, secret: 'foreign', callbacks: { each: 1 } },
  'letters and a deadline': {
    ...OPERATOR,
    looks: ['nothing', 'the deadline'],
    operators: 1,
    secret: 'foreign',
    callbacks: { each: 1 },
  },
  'the journal, ids in it: two operators': { ...JOURNALS, crowds: true },
  'the journal: two operators and refusals': { ...JOURNALS, refusals: true },
  'the journal: two operators and a deadline': { ...JOURNALS, looks: ['nothing', 'the deadline'], waited: true },
  'the journal: two operators and callbacks': { ...JOURNAL, operators: 2, takeOvers: 1, callbacks: { each: 1 } },
  'the journal: two operators that are killed': { ...JOURNALS, crashes: true },
  'the journal: two operators, a delayed write': { ...JOURNALS, lossy: 'writes', delayed: true },
  'the journal: lost replies and deaths': { ...JOURNAL, refusals: true, crashes: true, lossy: 'writes', delayed: true },
};

export const FULL: Readonly<Record<string, Configuration>> = { ...SMALL, ...MEDIUM, ...LARGE };
