/**
 * The product as the model runs it: its table of rules, its memory, its steps and protocols. A mutant is this record
 * with one entry replaced (`mutants.ts`). Nothing here has a rule of its own.
 */
import { type CallbackVerdict, receiveCallback } from '../../src/core/callback/callback.ts';
import { decideLetter } from '../../src/core/deadletter/decide.ts';
import { type Retry, retryLetter } from '../../src/core/deadletter/steps.ts';
import { DEFAULT_LETTER_POLICY } from '../../src/core/deadletter/schedule.ts';
import type { Protocol } from '../../src/core/protocol.ts';
import { decideTask } from '../../src/core/task/decide.ts';
import * as memories from '../../src/core/task/memory.ts';
import type { OwnIntent } from '../../src/core/task/memory.ts';
import { pollAnswered } from '../../src/core/task/polling.ts';
import type { Entry } from '../../src/core/journal/entry.ts';
import { isShown } from '../../src/core/journal/overlay.ts';
import { type Batch, type Journal, entryOf } from '../../src/core/journal/journal.ts';
import {
  type EntrySettled,
  type JournalWrite,
  type TakeOver,
  settleEntry,
  takeOver,
  writeJournal,
} from '../../src/core/journal/protocols.ts';
import { stepOf } from '../../src/core/task/steps.ts';
import { type Sight, lookAtEntry } from './room.ts';
import { NOW } from './time.ts';

/** Protocols that are no step of a task. */
export interface Protocols {
  receive(args: ReceiveArgs): Protocol<CallbackVerdict>;
  retryLetter(args: { namespace: string; name: string; uid: string; exists: string[] }): Protocol<Retry>;
  settleEntry(args: { entry: Entry }): Protocol<EntrySettled>;
}

export interface ReceiveArgs {
  uid: string;
  attempt: number;
  id: string;
  code: string;
  by: 'intake' | 'drainer';
}

export const LETTER_POLICY = { ...DEFAULT_LETTER_POLICY, maxAttempts: 1 };

export interface Product {
  decide: typeof decideTask;
  decideLetter: typeof decideLetter;
  memories: typeof memories;
  pollAnswered: typeof pollAnswered;
  stepOf: typeof stepOf;
  protocols: Protocols;
  /** The API server takes a PUT whatever version it carries; the product needs that it does not. */
  unchecked?: 'status' | 'journal';
  journal: {
    takeOver(journal: Journal): Protocol<TakeOver>;
    writeJournal(journal: Journal, batch: Batch): Protocol<JournalWrite>;
    /** @param own what a mutant may look at */
    entryOf(journal: Journal, uid: string, own?: OwnIntent): Entry | undefined;
  };
  /** When an entry may go: restated from the shell. */
  lookAt(sight: Sight): 'goes' | 'stays' | 'unknown';
  /** The tasks are listed anew after a take-over: restated from the shell. */
  relists: boolean;
  /** When the sidecar says 200. */
  acknowledges: 'durable' | 'at once';
}

const PLACE = { namespace: 'captcha', name: 'journal' };

export const PRODUCT: Product = {
  decide: decideTask,
  decideLetter,
  memories,
  pollAnswered,
  stepOf,
  acknowledges: 'durable',
  journal: {
    takeOver: (journal) => takeOver(journal, PLACE),
    writeJournal: (journal, batch) => writeJournal(journal, batch, PLACE),
    entryOf,
  },
  lookAt: (sight) => lookAtEntry(sight, isShown),
  relists: true,
  protocols: {
    settleEntry: ({ entry }) => settleEntry(entry),
    receive: ({ uid, attempt, id, code, by }) =>
      receiveCallback(
        { kid: 'k', namespace: 'default', name: 'login', uid, attempt },
        { id, code },
        by === 'intake'
          ? { now: NOW, receivedTime: NOW, onFailure: 'report' }
          : { now: NOW, receivedTime: NOW, write: 'put', onFailure: 'letter' },
      ),
    retryLetter: ({ exists, ...ref }) =>
      retryLetter(ref, { now: NOW, random: 0.5, policy: LETTER_POLICY, exists: (name) => exists.includes(name) }),
  },
};
