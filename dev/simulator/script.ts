/**
 * What the simulator can be told: the vocabulary of scripts, rules and accounts. Types and defaults only, shared by
 * the server, the control client, the tests and the demo. All of it is plain JSON, because scripts travel over HTTP.
 */
import type { Dialect, Switches } from './switches.ts';

/** Ways a reply can go wrong on its way. Each may happen whether or not the submission was accepted. */
export const FAULTS = [
  'reset', // the connection is reset, no byte answered
  'resetInBody', // reset after half of the right reply
  'shortBody', // closed after half of the right reply, content-length promised all of it
  'hang', // no byte ever
  'slowBody', // status at once, then one byte of the right reply every 250 ms
  'html500',
  'html502',
  'html200', // a gateway's page with status 200
  'http400',
  'http404',
  'http429',
  'http503',
  'redirect',
  'truncatedJson', // half of the right reply, correctly framed
  'wrongContentType', // the right reply, labelled image/png
  'badGzip', // the right reply, labelled gzip
  'garbage', // bytes that are not text
  'notHttp', // not even a status line
  'empty', // 200 without a body
  'huge', // a reply of 10 MB
] as const;
export type FaultName = (typeof FAULTS)[number];

export interface Fault {
  fault: FaultName;
  /** Value of the `Retry-After` header, for the `http…` faults. */
  retryAfter?: string;
}

interface Delayed {
  /** The reply waits this long. */
  delayMs?: number;
}

/** One `in.php` call. With a fault, `accept` says whether the task exists (and was paid for) nevertheless. */
export type SubmitStep = Delayed & ({ accept: true } | { code: string } | (Fault & { accept?: boolean }));

/** One `res.php?action=get` call for a task; after the listed steps polls tell the truth. */
export type PollStep = Delayed & ({ notReady: true } | { code: string } | Fault);

/** What the solver comes to: a result (default: one of the right shape), an error word, or nothing ever. */
export type ResultScript = { request?: unknown; userAgent?: string } | { code: string } | 'never';

export interface PingbackStep {
  /** GET with a query, or POST as a form, JSON or multipart. Default: the switch `pingbackVerb`. */
  method?: Switches['pingbackVerb'];
  /** After the task is solved. */
  afterMs?: number;
  /** Sent, and its answer awaited, before the reply of `in.php`. */
  beforeReply?: boolean;
  /** Only when told by `control.pingback`. */
  onCommand?: boolean;
  /** Instead of the result: another answer, an error word, an object (JSON). */
  code?: unknown;
  /** Instead of the task's id. */
  id?: string;
  /** GET: percent-encoded (default), as forms encode (space is `+`), or as it is. */
  encoding?: 'percent' | 'form' | 'raw';
  /** Tried again until the answer is 200. Default: once. */
  retry?: { times: number; everyMs: number };
}

export interface TaskScript {
  /**
   * From the reply of `in.php` until the result exists. `asked`: with the first poll, and not before, so that nothing
   * depends on who is faster. Default: the simulator's `answerAfterMs`.
   */
  solveAfterMs?: number | 'asked';
  polls?: PollStep[];
  result?: ResultScript;
  /** Default: one GET as soon as the task is solved. `[]`: the callback is lost. */
  pingbacks?: PingbackStep[];
}

export interface Script {
  /** One entry a call of `in.php`; the last one repeats. Default: every call is accepted. */
  submit?: SubmitStep[];
  /** One entry an accepted task; the last one repeats. */
  tasks?: TaskScript[];
}

/** Which submissions a script is for: a form field of `in.php` that equals, or contains, a text. The newest rule wins. */
export interface Match {
  field: string;
  equals?: string;
  contains?: string;
}

export interface Account {
  /**
   * What the key is answered. `wrong` and `unknown` count towards the ban of the caller's address; `expired` is a plan
   * that has ended: every submission is refused as if all threads were busy, though `threadsinfo` shows free ones.
   */
  state: 'ok' | 'wrong' | 'unknown' | 'addressNotAllowed' | 'expired' | 'suspended';
  /** Size of the thread pool; 0: no limit, and `threadsinfo` says nothing usable. */
  threads: number;
  /** Threads that other programs use on the same key. */
  workingElsewhere: number;
  /** What a full pool means for this account. Default: the switch `poolFull`. */
  busyCode?: Switches['poolFull'];
  balance: number;
  /** What the ownership file of a callback host must hold. */
  ownershipCode: string;
  /** All calls of this kind are answered with `code` until the (simulated) time is over. */
  block?: { code: string; forMs: number; on: 'in' | 'res' | 'both' };
}

export const DEFAULT_ACCOUNT: Account = {
  state: 'ok',
  threads: 0,
  workingElsewhere: 0,
  balance: 12.345,
  ownershipCode: 'f00dcafe',
};

export interface SimulatorOptions {
  /** Which provider to be; default `official`. */
  dialect?: Dialect;
  /** Where it shall differ from its dialect. `control.switches` changes them later. */
  switches?: Partial<Switches>;
  /** Words that this provider uses in place of the simulator's, as a recording of `npm run live` has them. */
  words?: Readonly<Record<string, string>>;
  /** 0: any free port. */
  port?: number;
  /** Where to listen; default loopback. A pod must be reached from others. */
  host?: string;
  /** Default of `solveAfterMs`. */
  answerAfterMs?: number;
  /** The id of the first task, minus one; above 2^31 as the live service's are. */
  idsAfter?: string;
  /** Wrong keys from one address until it is banned for 5 min; 0: never. */
  banAfterWrongKeys?: number;
  /** Smallest and largest image in bytes, in place of the switch `imageBytes`. */
  imageBytes?: { min: number; max: number };
}
