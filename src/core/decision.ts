/**
 * What a table of rules is and answers, for tasks and letters alike. Rows have names and an order, and the first that
 * matches decides. The answer is its name, and either one effect or how long the object may rest. Never both, and never
 * two effects: after an effect everything is gathered and decided anew, so the next one is decided on what the first has
 * changed. It knows no object and no effect.
 */

export type Choice<Effect> =
  | { effect: Effect; wakeInMs?: never }
  /** Look again after this long if nothing happens before; absent: at the next event. */
  | { effect?: never; wakeInMs?: number };

/** `rule` is the name of the row: the answer to "why", in the log at level `debug`. */
export type Decision<Effect> = { rule: string } & Choice<Effect>;

/** Rows by name, from the first to be tried to the last, which matches everything. */
export type Table<Row> = Readonly<Record<string, Row>>;

export type Named<Row> = Row & { name: string };

/** The rows of a table in the order in which they are written. */
export function inOrder<Row extends object>(table: Table<Row>): readonly Named<Row>[] {
  return Object.entries(table).map(([name, row]) => ({ name, ...row }));
}

export function firstOf<Row>(rows: readonly Named<Row>[], matches: (row: Row) => boolean): Named<Row> {
  const row = rows.find(matches);
  if (row === undefined) throw new Error('the last rule of the table matches everything');
  return row;
}
