/**
 * The name of a dead letter: the same for the same result of the same attempt at the same stage, whoever writes it, so
 * that two producers, or one that was killed, write one object. It shows the task's name, for people, and a hash, which
 * shows nothing of a long solution (a short image text could be guessed by whoever may read letters anyway).
 */
import type { LetterStage } from '../../api/names.ts';
import { createHash } from 'node:crypto';

/** An object name has at most 253 characters; the hash, 80 bits of it, takes 21 with its hyphen. */
const MAX_PREFIX = 200;
const HASH_DIGITS = 20;

export interface LetterIdentity {
  task: { name: string; uid: string };
  attempt: number;
  stage: LetterStage;
  code: string;
  userAgent?: string | undefined;
}

/** A valid object name (DNS subdomain). Equal names with different content are refused where letters are created. */
export function letterName(identity: LetterIdentity): string {
  const { task, attempt, stage, code, userAgent } = identity;
  const content = JSON.stringify([task.uid, attempt, stage, code, userAgent ?? '']);
  const hash = createHash('sha256').update(content).digest('hex');
  const prefix = task.name.slice(0, MAX_PREFIX).replace(/[.-]+$/, '');
  return `${prefix}-${hash.slice(0, HASH_DIGITS)}`;
}
