/**
 * The ids that the gateway gives out: 18 decimal digits, 14 of chance and 4 that prove them and the namespace. The id
 * alone leads to the task (`gw-<id>`), in whichever replica, and nothing else is stored. Who asks for an id of another
 * namespace, or for one that was never given out, costs no API call, but for one guess in ten thousand; and that one is
 * answered alike. Pure; chance is an argument.
 */
import { createHash } from 'node:crypto';

/** What chance has to bring: a whole number from the first on, below the second. Never with a leading zero. */
export const ID_CHANCE = [10 ** 13, 10 ** 14] as const;

const PROVED = 10_000;
const ID = /^(\d{14})(\d{4})$/;

/** The id that `chance` makes in this namespace. */
export function idOf(namespace: string, chance: number): string {
  return `${chance}${proofOf(namespace, String(chance))}`;
}

/** Whether this id may have been given out in this namespace. */
export function belongsTo(namespace: string, id: string): boolean {
  const [, chance, proof] = ID.exec(id) ?? [];
  return chance !== undefined && proof === proofOf(namespace, chance);
}

export function taskNameOf(id: string): string {
  return `gw-${id}`;
}

function proofOf(namespace: string, chance: string): string {
  const hash = createHash('sha256').update(`${namespace}/${chance}`).digest();
  return String(hash.readUInt32BE(0) % PROVED).padStart(4, '0');
}
