/**
 * Everything the simulator remembers: tasks, accounts, rules, the books, and a clock that tests can move. One value per
 * simulator; several run side by side. The handlers (`submit`, `result`, `pingback`) change it, nothing else does.
 */
import { Agent } from 'node:http';
import type { Result } from './answers.ts';
import type { Fields } from './form.ts';
import { createLedger, type Ledger, type LedgerSubmission } from './ledger.ts';
import {
  DEFAULT_ACCOUNT,
  type Account,
  type Match,
  type PollStep,
  type Script,
  type SimulatorOptions,
  type TaskScript,
} from './script.ts';

export interface Task {
  id: string;
  key: string;
  fields: Fields;
  script: TaskScript;
  /** What a poll gets once solved; `never` and unsolved tasks stay pending. */
  outcome?: Result | { code: string };
  /** Scripted polls that are still to come. */
  pollSteps: PollStep[];
  holdsThread: boolean;
  line: LedgerSubmission;
  /** Calls waiting for the end (`solve.php`). */
  waiters: (() => void)[];
}

export interface Rule {
  match?: Match;
  script: Script;
  calls: number;
  accepted: number;
}

export interface AccountState extends Account {
  working: number;
  blockedUntilMs: number;
}

export interface State {
  options: Required<SimulatorOptions>;
  ledger: Ledger;
  tasks: Map<string, Task>;
  accounts: Map<string, AccountState>;
  rules: { byValue: Map<string, Rule>; fields: Set<string>; others: Rule[]; fallback: Rule };
  address: { wrongKeys: number; bannedUntilMs: number };
  lastId: bigint;
  clockOffsetMs: number;
  timers: Set<NodeJS.Timeout>;
  /** Carries the pingbacks. */
  agent: Agent;
  stopped: boolean;
}

export function createState(options: SimulatorOptions): State {
  const defaults: Required<SimulatorOptions> = {
    port: 0,
    answerAfterMs: 0,
    ids: 'integer',
    idsAfter: '7383820000',
    jsonByDefault: false,
    banAfterWrongKeys: 0,
    imageBytes: { min: 1, max: 1_048_576 },
  };
  const settled = { ...defaults, ...options };
  return {
    options: settled,
    ledger: createLedger(),
    tasks: new Map(),
    accounts: new Map(),
    rules: { byValue: new Map(), fields: new Set(), others: [], fallback: newRule({}) },
    address: { wrongKeys: 0, bannedUntilMs: 0 },
    lastId: BigInt(settled.idsAfter),
    clockOffsetMs: 0,
    timers: new Set(),
    agent: new Agent({ keepAlive: true, maxSockets: 256, timeout: 4_000 }),
    stopped: false,
  };
}

/** The simulator's time: the machine's, moved forward by `control.advanceClock`. Blocks and bans end by it. */
export function nowMs(state: State): number {
  return Date.now() + state.clockOffsetMs;
}

export function nextId(state: State): string {
  state.lastId += 1n;
  return state.lastId.toString();
}

/** Runs `action` later; forgotten when the simulator stops. */
export function later(state: State, delayMs: number, action: () => void): void {
  if (state.stopped) return;
  const timer = setTimeout(() => {
    state.timers.delete(timer);
    action();
  }, delayMs);
  state.timers.add(timer);
}

/** Ends every timer and delivery. */
export function stopState(state: State): void {
  state.stopped = true;
  for (const timer of state.timers) clearTimeout(timer);
  state.timers.clear();
  state.agent.destroy();
}

/** Waits; never resolves when the simulator stops meanwhile. */
export function pause(state: State, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    later(state, delayMs, resolve);
  });
}

export function accountOf(state: State, key: string): AccountState {
  let account = state.accounts.get(key);
  if (account === undefined) {
    account = { ...DEFAULT_ACCOUNT, working: 0, blockedUntilMs: 0 };
    state.accounts.set(key, account);
  }
  return account;
}

/** Changes an account; a `block` starts now. */
export function setAccount(state: State, key: string, patch: Partial<Account>): void {
  const account = accountOf(state, key);
  Object.assign(account, patch);
  if (patch.block !== undefined) account.blockedUntilMs = nowMs(state) + patch.block.forMs;
}

const newRule = (script: Script, match?: Match): Rule => ({
  script,
  calls: 0,
  accepted: 0,
  ...(match === undefined ? {} : { match }),
});

/** Adds a rule before all earlier ones of its kind; rules that test for equality are looked up first. No `match`: the default. */
export function addRule(state: State, script: Script, match?: Match): void {
  const { rules } = state;
  if (match === undefined) rules.fallback = newRule(script);
  else if (match.equals === undefined) rules.others.unshift(newRule(script, match));
  else {
    rules.fields.add(match.field);
    rules.byValue.set(`${match.field}=${match.equals}`, newRule(script, match));
  }
}

export function ruleFor(state: State, fields: Fields): Rule {
  const { rules } = state;
  for (const field of rules.fields) {
    const rule = rules.byValue.get(`${field}=${fields.get(field) ?? ''}`);
    if (rule !== undefined) return rule;
  }
  return rules.others.find(({ match }) => matches(fields, match)) ?? rules.fallback;
}

function matches(fields: Fields, match: Match | undefined): boolean {
  return match !== undefined && (fields.get(match.field)?.includes(match.contains ?? '') ?? false);
}

/** The entry of a list for the n-th time (from 1); the last one repeats. */
export function nth<T>(list: readonly T[] | undefined, n: number): T | undefined {
  return list?.[Math.min(n, list.length) - 1];
}

export function releaseThread(state: State, task: Task): void {
  if (!task.holdsThread) return;
  task.holdsThread = false;
  accountOf(state, task.key).working -= 1;
}
