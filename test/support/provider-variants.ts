/**
 * What must come of each captcha type for each provider that the simulator can be: the expectations of
 * test/rooms/provider-variants.test.ts, and the page docs/provider-variants.md that is generated from them.
 */
import { SWITCHES, type Dialect, type SwitchName } from '../../dev/simulator/switches.ts';
import { KINDS } from './captcha-kinds.ts';

/** By kind: `solved`, `solved, no agent`, or how it is not solved. */
export type Outcomes = Record<string, string>;

export interface Exception {
  outcomes: Outcomes;
  why: string;
}

const NAMES = Object.keys(KINDS);
const BOUND_TO_AGENT = NAMES.filter((name) => KINDS[name]?.agent === true);
const all = (word: string, names = NAMES): Outcomes => Object.fromEntries(names.map((name) => [name, word]));

const UNKNOWN_V4: Exception = {
  outcomes: { GeeTestV4: 'refused: permanent' },
  why: 'GeeTest v4 is asked for as the provider’s examples do; elsewhere it has another method, or none. Nothing is paid.',
};
const NO_ID: Exception = {
  outcomes: all('unknown: unreadable'),
  why: 'There is no id to ask for. It counts as unknown, never as a refusal; a callback that names a number still solves the task.',
};

/** What a variant leaves no way to. Whatever is not named here is solved, with its agent. */
export const EXCEPTIONS: Readonly<Record<string, Exception>> = {
  'userAgent=absent': {
    outcomes: all('solved, no agent', BOUND_TO_AGENT),
    why: 'Nobody tells the agent; what was paid for is kept all the same.',
  },
  'gridAnswer=text': {
    outcomes: { Grid: 'unreadable' },
    why: 'A text is no list of cells. After three such answers the attempt ends: `UNREADABLE_ANSWER`.',
  },
  'geetestV4=method': UNKNOWN_V4,
  'geetestV4=unsupported': UNKNOWN_V4,
  'ids=inResult': NO_ID,
  'ids=uuid': NO_ID,
};

/** Where the family differs: it has another method for GeeTest v4. */
const V4_OF_FAMILY: Readonly<Record<string, string>> = {
  'geetestV4=version': 'solved',
  'requiredFields=lenient': 'unreadable',
};

export function expectedOutcomes(dialect: Dialect, variant?: string): Outcomes {
  const ofVariant = EXCEPTIONS[variant ?? '']?.outcomes ?? {};
  const ofFamily = { GeeTestV4: V4_OF_FAMILY[variant ?? ''] ?? 'refused: permanent' };
  return { ...all('solved'), ...ofVariant, ...(dialect === 'family' ? ofFamily : {}) };
}

/** About threads, callbacks and what only other clients send. */
export const BESIDE_THE_POINT: ReadonlySet<SwitchName> = new Set<SwitchName>([
  'threadsinfo',
  'poolFull',
  'pingback',
  'pingbackRefusal',
  'pingbackVerb',
  'ownershipFile',
  'jsonDefault',
  'jsonBodies',
  'unknownMethod',
]);

/** Solved, but only after submissions in between: it has a test of its own. */
export const SLOWLY = ['pollVerb', 'queryOnly'] as const;

/** Every value of every switch that an answer may depend on. */
export const VARIANTS = (Object.keys(SWITCHES) as SwitchName[])
  .filter((name) => !BESIDE_THE_POINT.has(name))
  .flatMap((name) => SWITCHES[name].values.map((value) => [name, value] as const));
