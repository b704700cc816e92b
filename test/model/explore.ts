/**
 * Visits every state that can be reached, the nearest first, so that the first way to a fault is a shortest one. Then
 * asks backwards whether an end can still be reached by fair steps from every state. States are kept as keys; the way to
 * one is found again by taking the same steps from the beginning.
 */
import type { Model } from './draft.ts';
import { isEnd } from './invariants.ts';
import { type Step, initialState, stepsFrom } from './model.ts';
import { shown } from './show.ts';
import { type State, canonical, keyOf, spelled } from './state.ts';

export const NO_END = 'no end can be reached from here by fair steps';

export interface Fault {
  /** The sentence that was broken. */
  sentence: string;
  /** What happened, in order. */
  trace: readonly string[];
  /** Where that led. */
  end: string;
}

export interface Exploration {
  states: number;
  steps: number;
  seconds: number;
  /** False: stopped before all was seen. */
  complete: boolean;
  faults: readonly Fault[];
}

export interface Limits {
  /** Stops when this sentence is broken. */
  until?: string;
}

interface Search {
  model: Model;
  index: Map<string, number>;
  /** Those that have not been expanded yet. */
  open: (State | undefined)[];
  parents: number[];
  ordinals: number[];
  /** Fair steps, as pairs. */
  from: number[];
  to: number[];
  ends: number[];
  steps: number;
  faults: Map<string, Fault>;
}

export function explore(model: Model, limits: Limits = {}): Exploration {
  const began = performance.now();
  const search = begin(model);
  let complete = true;
  for (let at = 0; at < search.open.length; at += 1) {
    if (limits.until !== undefined && search.faults.has(limits.until)) {
      complete = false;
      break;
    }
    expand(search, at);
  }
  if (complete) judgeProgress(search);
  return {
    states: search.index.size,
    steps: search.steps,
    seconds: (performance.now() - began) / 1_000,
    complete,
    faults: [...search.faults.values()],
  };
}

function begin(model: Model): Search {
  const first = initialState(model);
  const index = new Map([[keyOf(first), 0]]);
  const empty = { from: [], to: [], ends: [], steps: 0, faults: new Map<string, Fault>() };
  return { model, index, open: [first], parents: [-1], ordinals: [-1], ...empty };
}

function expand(search: Search, at: number): void {
  const state = search.open[at];
  if (state === undefined) return;
  search.open[at] = undefined;
  if (isEnd(state)) search.ends.push(at);
  const steps = stepsFrom(search.model, state);
  for (let ordinal = 0; ordinal < steps.length; ordinal += 1) {
    take(search, { at, ordinal, step: steps[ordinal] as Step });
  }
}

function take(search: Search, { at, ordinal, step }: { at: number; ordinal: number; step: Step }): void {
  search.steps += 1;
  const key = keyOf(step.state);
  let next = search.index.get(key);
  const isNew = next === undefined;
  if (next === undefined) {
    next = search.index.size;
    search.index.set(key, next);
    search.parents.push(at);
    search.ordinals.push(ordinal);
    // What lies behind a fault is no news: such a state counts as an end and is left.
    search.open.push(step.broken.length > 0 ? undefined : step.state);
    if (step.broken.length > 0) search.ends.push(next);
  }
  if (step.fair && next !== at) {
    search.from.push(at);
    search.to.push(next);
  }
  if (step.broken.length === 0) return;
  for (const sentence of step.broken) {
    if (search.faults.has(sentence)) continue;
    // A fault that is the step's own may lead where another step has led before.
    const trace = isNew ? traceTo(search, next) : [...traceTo(search, at), step.label];
    search.faults.set(sentence, { sentence, trace, end: shown(step.state) });
  }
}

/** The operators keep their names on the way, which canonical states do not know. */
function traceTo(search: Search, at: number): string[] {
  const way: number[] = [];
  for (let here = at; here > 0; here = search.parents[here] as number) way.push(search.ordinals[here] as number);
  const { model } = search;
  const trace: string[] = [];
  let state = initialState(model);
  let named = state;
  for (const ordinal of way.toReversed()) {
    state = (stepsFrom(model, state)[ordinal] as Step).state;
    const key = keyOf(state);
    const step = stepsFrom(model, named, spelled).find((one) => keyOf(canonical(one.state)) === key) as Step;
    trace.push(step.label);
    named = step.state;
  }
  return trace;
}

/** From every state an end must be reachable by fair steps alone. */
function judgeProgress(search: Search): void {
  const { from, to, ends } = search;
  const count = search.index.size;
  const heads = new Int32Array(count).fill(-1);
  const nexts = new Int32Array(to.length);
  for (let edge = 0; edge < to.length; edge += 1) {
    nexts[edge] = heads[to[edge] as number] as number;
    heads[to[edge] as number] = edge;
  }
  const good = new Uint8Array(count);
  const todo = [...ends];
  for (const end of ends) good[end] = 1;
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    for (let edge = heads[at] as number; edge !== -1; edge = nexts[edge] as number) {
      const before = from[edge] as number;
      if (good[before] === 1) continue;
      good[before] = 1;
      todo.push(before);
    }
  }
  const stuck = good.indexOf(0);
  if (stuck === -1) return;
  const sentence = NO_END;
  const trace = traceTo(search, stuck);
  search.faults.set(sentence, { sentence, trace, end: `state ${stuck}` });
}
