/**
 * A program that knows nothing of Kubernetes: it has a captcha solved through the gateway by a client library that others
 * wrote, unmodified but for its address, where that is installed, and by plain HTTP where it is not.
 */
import { createRequire } from 'node:module';

const PACKAGE = '@2captcha/captcha-solver';
const POLL_MS = 1_000;

export interface Wish {
  /** Of the gateway. */
  url: string;
  key: string;
  siteKey: string;
  pageURL: string;
}

export interface Client {
  /** As it is told to people. */
  name: string;
  /** Resolves with what the client was told; rejects as the client does. */
  solve(wish: Wish): Promise<string>;
}

export function findClient(): Client {
  const require = createRequire(import.meta.url);
  try {
    const { Solver } = require(PACKAGE) as { Solver: SolverClass };
    const { version } = require(`${PACKAGE}/package.json`) as { version: string };
    return { name: `npm’s ${PACKAGE} ${version}`, solve: (wish) => solveByLibrary(Solver, wish) };
  } catch {
    return { name: `plain HTTP (${PACKAGE} is not installed)`, solve: solveByHTTP };
  }
}

type SolverClass = new (
  key: string,
  pollMs: number,
) => {
  recaptcha(fields: object): Promise<{ data: string }>;
};

/** Its addresses are getters of the class; docs/gateway.md has the same. */
async function solveByLibrary(Solver: SolverClass, { url, key, siteKey, pageURL }: Wish): Promise<string> {
  class GatewaySolver extends Solver {
    get in(): string {
      return `${url}/in.php`;
    }
    get res(): string {
      return `${url}/res.php`;
    }
  }
  const { data } = await new GatewaySolver(key, POLL_MS).recaptcha({ googlekey: siteKey, pageurl: pageURL });
  return data;
}

async function solveByHTTP({ url, key, siteKey, pageURL }: Wish): Promise<string> {
  const submission = { key, method: 'userrecaptcha', googlekey: siteKey, pageurl: pageURL };
  const id = await ask(`${url}/in.php?${new URLSearchParams(submission)}`);
  return ask(`${url}/res.php?${new URLSearchParams({ key, action: 'get', id, wait: '60' })}`);
}

async function ask(url: string): Promise<string> {
  const text = await (await fetch(url)).text();
  if (!text.startsWith('OK|')) throw new Error(`the gateway said ${text}`);
  return text.slice('OK|'.length);
}
