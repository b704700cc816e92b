/**
 * The server's side of the remote control (`control.ts`): `POST /_control/<route>` with a JSON body, answered with
 * JSON. Only the caller's own machine can reach it: the simulator listens on loopback alone.
 */
import type { LedgerFilter, PingbackCommand } from './control.ts';
import type { LedgerSubmission } from './ledger.ts';
import { deliverForeign, deliverPingback } from './pingback.ts';
import type { Account, Match, Script } from './script.ts';
import { accountOf, addRule, createState, setAccount, type State, type Task } from './state.ts';
import type { Switches } from './switches.ts';
import { startWaiting } from './threads.ts';

type Route = (state: State, body: never) => unknown;

/** Undefined where there is no such route. The outage is the server's own affair (`index.ts`). */
export function controlRoute(name: string): ((state: State, body: unknown) => unknown) | undefined {
  return ROUTES[name] as ((state: State, body: unknown) => unknown) | undefined;
}

const ROUTES: Readonly<Record<string, Route>> = {
  script: (state, { script, match }: { script: Script; match?: Match }) => {
    addRule(state, script, match);
    return null;
  },
  account: (state, { key, patch }: { key: string; patch: Partial<Account> }) => {
    setAccount(state, key, patch);
    startWaiting(accountOf(state, key));
    return null;
  },
  switches: (state, patch: Partial<Switches>) => {
    Object.assign(state.switches, patch);
    return null;
  },
  ledger: (state, { filter }: { filter?: LedgerFilter }) => ({
    ...state.ledger,
    submissions: state.ledger.submissions.filter((line) => isMeant(line, filter)),
  }),
  totals: (state) => state.ledger.totals,
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  pingback: (state, command: PingbackCommand) => sendCommanded(state, command),
  clock: (state, { byMs }: { byMs: number }) => {
    state.clockOffsetMs += byMs;
    return null;
  },
  reset: (state) => {
    const waiting = [...state.accounts.values()].flatMap(({ queue }) => queue);
    const { rules, accounts, address, ledger, switches } = createState(state.options);
    Object.assign(state, { rules, accounts, address, ledger, switches });
    for (const task of state.tasks.values()) task.holdsThread = false;
    for (const { start } of waiting) start();
    return null;
  },
};

function isMeant(line: LedgerSubmission, filter: LedgerFilter | undefined): boolean {
  return filter === undefined || line.fields[filter.field] === filter.equals;
}

async function sendCommanded(state: State, command: PingbackCommand): Promise<number> {
  if ('url' in command) {
    return deliverForeign(state, { url: command.url, id: command.foreignId, code: command.code }, command.step ?? {});
  }
  const task = taskOf(state, command);
  if (task === undefined) throw new Error('no such task');
  const scripted = task.script.pingbacks?.find((step) => step.onCommand === true);
  return deliverPingback(state, task, command.step ?? scripted ?? {});
}

function taskOf(state: State, command: { id: string } | { match: LedgerFilter }): Task | undefined {
  if ('id' in command) return state.tasks.get(command.id);
  const line = state.ledger.submissions.findLast((line) => line.paid && isMeant(line, command.match));
  return state.tasks.get(line?.id ?? '');
}
