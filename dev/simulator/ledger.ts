/**
 * The provider's books: every call it received, what it answered, and what was paid for. Tests assert on it ("one
 * submission, no second one"), because it is the only witness that does not belong to the operator.
 *
 * A submission is *paid* when it was accepted, whatever became of the reply. Keys appear by their last four
 * characters; pingback URLs and results appear in full, this is a test tool. Long fields (images) are cut.
 */
import { field, type Fields } from './form.ts';

export interface LedgerPoll {
  timeMs: number;
  /** `GET`, or `POST` with the kind of its body. */
  sent: string;
  /** `pending`, `solved`, an error word, or `fault:<name>`. */
  answer: string;
}

export interface LedgerPingback {
  timeMs: number;
  method: string;
  id: string;
  code: unknown;
  /** HTTP status of the receiver; 0 where none came. */
  status: number;
  error?: string;
}

export interface LedgerSubmission {
  seq: number;
  timeMs: number;
  /** `GET`, or `POST` with the kind of its body. */
  sent: string;
  key: string;
  method: string;
  pageurl: string;
  pingback: string;
  /** All form fields but the key; values are cut after 200 characters. */
  fields: Record<string, string>;
  answer: 'accepted' | 'refused' | 'fault';
  /** The refusal's code, or the fault's name. */
  code?: string;
  id?: string;
  paid: boolean;
  solvedTimeMs?: number;
  polls: LedgerPoll[];
  pingbacks: LedgerPingback[];
}

export interface LedgerTotals {
  requests: number;
  submissions: number;
  paid: number;
  refused: number;
  polls: number;
  threadsinfo: number;
  balance: number;
  pingbacks: number;
  pingbacksAnswered200: number;
  /** Requests that no faithful client sends (unknown paths, a followed redirect). */
  unexpected: number;
}

export interface Ledger {
  submissions: LedgerSubmission[];
  /** `METHOD path` of unexpected requests, the first hundred. */
  unexpected: string[];
  totals: LedgerTotals;
}

export function createLedger(): Ledger {
  return {
    submissions: [],
    unexpected: [],
    totals: {
      requests: 0,
      submissions: 0,
      paid: 0,
      refused: 0,
      polls: 0,
      threadsinfo: 0,
      balance: 0,
      pingbacks: 0,
      pingbacksAnswered200: 0,
      unexpected: 0,
    },
  };
}

const MAX_FIELD = 200;

/** Opens the line of one `in.php` call. `sent`: see `LedgerSubmission`. */
export function recordSubmission(ledger: Ledger, fields: Fields, sent: string): LedgerSubmission {
  const kept: Record<string, string> = {};
  for (const [name, value] of fields) {
    if (name !== 'key') kept[name] = value.length > MAX_FIELD ? `${value.slice(0, MAX_FIELD)}…` : value;
  }
  const line: LedgerSubmission = {
    seq: ledger.submissions.length + 1,
    timeMs: Date.now(),
    sent,
    key: field(fields, 'key').slice(-4),
    method: field(fields, 'method'),
    pageurl: field(fields, 'pageurl'),
    pingback: field(fields, 'pingback'),
    fields: kept,
    answer: 'refused',
    paid: false,
    polls: [],
    pingbacks: [],
  };
  ledger.submissions.push(line);
  ledger.totals.submissions += 1;
  return line;
}

export function recordUnexpected(ledger: Ledger, request: string): void {
  ledger.totals.unexpected += 1;
  if (ledger.unexpected.length < 100) ledger.unexpected.push(request);
}
