/** What the files of steps share: a model, one operator in its state, and a step before it is judged. */
import type { Configuration } from './configurations.ts';
import type { Advances } from './desk.ts';
import type { Looks } from './operator.ts';
import type { Product } from './product.ts';
import type { Operator, State } from './state.ts';
import type { Works } from './works.ts';

export interface Model {
  configuration: Configuration;
  product: Product;
  works: Works;
  advances: Advances;
  looks: Looks;
}

/** A step before it is brought to its canonical spelling and judged. */
export interface Draft {
  label: string;
  /** Progress must not depend on it. */
  unfair?: true;
  state: State;
  broken?: string | undefined;
}

/** One operator in its state. */
export interface Here {
  model: Model;
  state: State;
  operator: Operator;
  index: number;
}

/** The state with this operator in place of the one that is looked at. */
export function withOperator({ state, index }: Here, operator: Operator, change: Partial<State> = {}): State {
  const operators = state.operators.map((other, at) => (at === index ? operator : other));
  return { ...state, ...change, operators };
}

export function nameOf({ state, index }: Here): string {
  return state.operators.length === 1 ? 'the operator' : `operator ${'AB'[index]}`;
}

/** The write that is still under way, where there is one now. */
export function flying(flight: State['flight']): Partial<State> {
  return flight === undefined ? {} : { flight };
}
