/**
 * Everything the simulator remembers: tasks, accounts, rules, the books, and a clock that tests can move. One value per
 * simulator; several run side by side. The handlers (`submit`, `result`, `pingback`) change it, nothing else does.
 */
import { Agent } from 'node:http';
import type { Result, Style } from './answers.ts';
import { field, type Fields } from './form.ts';
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
import { switchesOf, type Provider, type Switches } from './switches.ts';

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
  /** Whether `in.php` has answered; from then on, and with a thread, its time runs. */
  replied: boolean;
  /** When it was solved (simulated time), and how often that was read. */
  solvedMs?: number;
  reads: number;
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
  /** Accepted tasks without a thread, the oldest first. */
  queue: { task: Task; start: () => void }[];
  /** Registered callback hosts. */
  hosts: Set<string>;
}

type Settled = SimulatorOptions & Required<Omit<SimulatorOptions, 'dialect' | 'switches' | 'words' | 'imageBytes'>>;

export interface State extends Provider {
  options: Settled;
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
  const defaults = { port: 0, host: '127.0.0.1', answerAfterMs: 0, idsAfter: '7383820000', banAfterWrongKeys: 0 };
  const settled = { ...defaults, ...options };
  const { dialect = 'official', switches } = options;
  return {
    dialect,
    switches: { ...switchesOf(dialect), ...switches },
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
  const digits = state.lastId.toString();
  const { ids } = state.switches;
  if (ids === 'uuid') return `00000000-0000-4000-8000-${digits.padStart(12, '0')}`;
  return ids === 'beyond53' ? `900719925${digits}` : digits;
}

/** How a reply to this request is written. */
export function styleOf({ switches, options }: State, fields: Fields): Style {
  const json = fields.get('json');
  return { json: json === undefined ? switches.jsonDefault === 'json' : json === '1', switches, words: options.words };
}

const LARGEST_IMAGE: Readonly<Record<Switches['imageBytes'], number>> = {
  '1MB': 1_048_576,
  '100kB': 102_400,
  http413: 1_048_576,
};

/** Smallest and largest image in bytes. */
export function imageBounds({ options, switches }: State): { min: number; max: number } {
  return options.imageBytes ?? { min: 1, max: LARGEST_IMAGE[switches.imageBytes] };
}

/** The task that an id and a key name. */
export function taskFor(state: State, fields: Fields): Task | undefined {
  const task = state.tasks.get(field(fields, 'id'));
  return task?.key === fields.get('key') ? task : undefined;
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
    account = { ...DEFAULT_ACCOUNT, working: 0, blockedUntilMs: 0, queue: [], hosts: new Set() };
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
