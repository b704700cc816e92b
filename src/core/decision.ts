/**
 * What a table of rules answers, for tasks and letters alike: the rule that matched, and either one effect or how long
 * the object may rest. Never both, and never two effects: after an effect everything is gathered and decided anew, so
 * the next one is decided on what the first has changed.
 */

export type Choice<Effect> =
  | { effect: Effect; wakeInMs?: never }
  /** Look again after this long if nothing happens before; absent: at the next event. */
  | { effect?: never; wakeInMs?: number };

/** `rule` is the name of the row: the answer to "why", in the log at level `debug`. */
export type Decision<Effect> = { rule: string } & Choice<Effect>;
