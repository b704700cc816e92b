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

/** `t` token, `r` received (epoch ms), `i` id, `c` code, `s` code with `+` as space. */
interface Written {
  t: string;
  r: number;
  i?: string;
  c?: string;
  s?: string;
}

export function encodeRecord(record: SpoolRecord): string {
  const written: Written = { t: record.token, r: record.receivedTime };
  if (record.kind === 'callback') {
    written.i = record.callback.id;
    written.c = record.callback.code;
    if (record.callback.spacedCode !== undefined) written.s = record.callback.spacedCode;
  }
  return JSON.stringify(written);
}

/** Undefined for text that is no record, although its checksum may match. */
export function decodeRecord(text: string): SpoolRecord | undefined {
  const written = parseObject(text);
  if (written === undefined) return undefined;
  const { t: token, r: receivedTime, i: id, c: code, s: spacedCode } = written;
  if (typeof token !== 'string' || typeof receivedTime !== 'number') return undefined;
  if (id === undefined) return { kind: 'due', token, receivedTime };
  if (typeof id !== 'string' || typeof code !== 'string') return undefined;
  const spaced = typeof spacedCode === 'string' ? { spacedCode } : {};
  return { kind: 'callback', token, callback: { id, code, ...spaced }, receivedTime };
}

function parseObject(text: string): Partial<Record<keyof Written, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
