/**
 * What one spool record says, and how it is written: compact JSON with one-letter names, because a burst fills the
 * disk with them. Members this version does not know are ignored, so that a later version may add some.
 * Holds a token and a solution in clear: never logged.
 */
import type { Callback } from '../../core/callback/parse.ts';

/** `due`: only the task's next poll was asked for (a refused callback); there is no code to apply. */
export type SpoolRecord =
  | { kind: 'callback'; token: string; callback: Callback; receivedTime: number }
  | { kind: 'due'; token: string; receivedTime: number };

/** `t` token, `i` id, `c` code, `s` code with `+` as space. The time stands in the frame. */
interface Written {
  t: string;
  i?: string;
  c?: string;
  s?: string;
}

export function encodeRecord(record: SpoolRecord): string {
  const written: Written = { t: record.token };
  if (record.kind === 'callback') {
    written.i = record.callback.id;
    written.c = record.callback.code;
    if (record.callback.spacedCode !== undefined) written.s = record.callback.spacedCode;
  }
  return JSON.stringify(written);
}

/** Undefined for text that is no record, although its checksum may match. */
export function decodeRecord(text: string, receivedTime: number): SpoolRecord | undefined {
  const written = parseObject(text);
  if (written === undefined) return undefined;
  const { t: token, i: id, c: code, s: spacedCode } = written;
  if (typeof token !== 'string') return undefined;
  if (id === undefined) return { kind: 'due', token, receivedTime };
  if (typeof id !== 'string' || typeof code !== 'string') return undefined;
  const spaced = typeof spacedCode === 'string' ? { spacedCode } : {};
  return { kind: 'callback', token, callback: { id, code, ...spaced }, receivedTime };
}

/** The token in a record's text, without reading the rest: there may be a million of them. Empty when it has none. */
export function tokenOf(text: string): string {
  return /^\{"t":"([A-Za-z0-9._-]+)"/.exec(text)?.[1] ?? '';
}

function parseObject(text: string): Partial<Record<keyof Written, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Runs of token characters in damaged bytes; whether one is a token, only its MAC can tell. */
export function tokenCandidates(bytes: Buffer): string[] {
  return (bytes.toString('latin1').match(/[A-Za-z0-9._-]{40,400}/g) ?? []).slice(0, MAX_CANDIDATES);
}

const MAX_CANDIDATES = 16;
