/** One crash point: where the process is when it dies, is paused, or loses a request. */
import type { Cell } from '../cell.ts';

export interface Point {
  name: string;
  /** Begins with a living leader in `cell.life`, and leaves one there, be it that it is about to be killed. */
  run(cell: Cell): Promise<void>;
}

/** Points that follow each other in one cell: what one leaves behind is there for the next. */
export type Row = readonly Point[];

/** Who wrote that knew an older version. */
export async function expectConflict(what: string, answer: Promise<number>): Promise<void> {
  const status = await answer;
  if (status !== 409) throw new Error(`${what} was answered ${status}`);
}
