/**
 * The callback keys: reads `CALLBACK_KEYS_FILE`, signs and verifies with what it holds, and follows the file.
 *
 * Lines are `kid:base64`; the first key signs, all verify; blank lines and lines starting with `#` are skipped. A file
 * that cannot be read or holds a fault keeps the previous keys (`followed-file.ts`); with no keys at all nothing is
 * signed and nothing verifies (fail closed).
 *
 * Refuses to say anything about key material: faults name line numbers, never contents.
 */
import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { followFile, linesOf } from './followed-file.ts';

export interface CallbackKey {
  kid: string;
  secret: Uint8Array;
}
export type ParsedKeys = { ok: true; keys: CallbackKey[] } | { ok: false; faults: string[] };

export interface CallbackKeys {
  /** True once at least one key is loaded, and while none is needed; stays true when a later reload fails. */
  ready(): boolean;
  /** Ids of the loaded keys, the signing one first. Ids are no secret. */
  kids(): readonly string[];
  /** Why the last reload failed; undefined when it went well. */
  fault(): string | undefined;
  signingKid(): string | undefined;
  /** HMAC-SHA-256 (32 bytes) with that key; undefined when it is not loaded. */
  mac(kid: string, bytes: Uint8Array): Uint8Array | undefined;
  sign(bytes: Uint8Array): { kid: string; mac: Uint8Array } | undefined;
  /** Compares in constant time with as many leading bytes as `mac` has (at least 16); does the same work for an unknown kid. */
  verify(kid: string, bytes: Uint8Array, mac: Uint8Array): boolean;
  /** Reads the file now; never throws. */
  reload(): Promise<void>;
  stop(): void;
}

export interface CallbackKeysOptions {
  path: string;
  /** No file is no fault: nothing is signed with it, so nothing comes that it would verify. Default false. */
  mayBeAbsent?: boolean;
  /** How often the file is read again; 5,000 ms keeps a change within the promised 10 s. */
  reloadIntervalMs?: number;
  /** Called after each change of the loaded set. */
  onLoaded?(kids: readonly string[]): void;
  /** Called when a load fails, once for each different fault. */
  onFault?(fault: string): void;
}

const KID = /^[A-Za-z0-9_-]{1,12}$/;
const MIN_SECRET_BYTES = 16;
const MIN_MAC_BYTES = 16;
const MAX_KEYS = 16;
const MAX_FILE_BYTES = 16_384;

/** Parses the key file. All faults are reported together. */
export function parseCallbackKeys(text: string): ParsedKeys {
  if (text.length > MAX_FILE_BYTES) return { ok: false, faults: [`the file is larger than ${MAX_FILE_BYTES} bytes`] };
  const keys: CallbackKey[] = [];
  const faults: string[] = [];
  for (const line of linesOf(text)) {
    const parsed = parseLine(line.text);
    if (typeof parsed === 'string') faults.push(`line ${line.number}: ${parsed}`);
    else if (keys.some(({ kid }) => kid === parsed.kid)) faults.push(`line ${line.number}: the key id appears twice`);
    else keys.push(parsed);
  }
  if (keys.length > MAX_KEYS) faults.push(`more than ${MAX_KEYS} keys`);
  if (keys.length === 0 && faults.length === 0) faults.push('no key in the file');
  return faults.length === 0 ? { ok: true, keys } : { ok: false, faults };
}

function parseLine(line: string): CallbackKey | string {
  const colon = line.indexOf(':');
  if (colon < 0) return 'expected "kid:base64"';
  const kid = line.slice(0, colon);
  const text = line.slice(colon + 1).trim();
  if (!KID.test(kid)) return 'the key id must be 1 to 12 letters, digits, "-" or "_"';
  const secret = Buffer.from(text, 'base64');
  // Buffer skips what it cannot read; a key that lost characters in a copy would silently be another key.
  if (stripPadding(secret.toString('base64')) !== stripPadding(text)) return 'the key is not base64';
  if (secret.length < MIN_SECRET_BYTES) return `the key is shorter than ${MIN_SECRET_BYTES} bytes`;
  return { kid, secret };
}

function stripPadding(base64: string): string {
  return base64.replace(/={1,2}$/, '');
}

/**
 * Loads the keys and keeps following the file until `stop()`. Resolves also when the first load fails: the process
 * shall start and stay not ready until the file is right.
 */
export async function loadCallbackKeys(options: CallbackKeysOptions): Promise<CallbackKeys> {
  const ring = createCallbackKeyRing();
  const file = await followFile({
    ...options,
    paths: [options.path],
    load(text = '') {
      const parsed = parseCallbackKeys(text);
      if (!parsed.ok) return parsed;
      ring.replace(parsed.keys);
      options.onLoaded?.(ring.kids());
      return { ok: true };
    },
  });
  const { replace: _, ...readers } = ring;
  const { fault, reload, stop } = file;
  return { ...readers, ready: () => file.isAbsent() || ring.ready(), fault, reload, stop };
}

function compute(key: KeyObject, bytes: Uint8Array): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

/** The loaded keys without a file behind them. */
export function createCallbackKeyRing() {
  // An unknown key id costs the same HMAC as a known one, so that timing does not tell which ids exist.
  const stranger = createSecretKey(randomBytes(32));
  let keys = new Map<string, KeyObject>();
  const mac = (kid: string, bytes: Uint8Array): Uint8Array | undefined => {
    const key = keys.get(kid);
    return key === undefined ? undefined : compute(key, bytes);
  };
  const signingKid = (): string | undefined => keys.keys().next().value;
  return {
    replace(next: readonly CallbackKey[]): void {
      keys = new Map(next.map(({ kid, secret }) => [kid, createSecretKey(secret)]));
    },
    ready: () => keys.size > 0,
    kids: (): readonly string[] => [...keys.keys()],
    signingKid,
    mac,
    sign(bytes: Uint8Array): { kid: string; mac: Uint8Array } | undefined {
      const kid = signingKid();
      const signature = kid === undefined ? undefined : mac(kid, bytes);
      return kid === undefined || signature === undefined ? undefined : { kid, mac: signature };
    },
    verify(kid: string, bytes: Uint8Array, given: Uint8Array): boolean {
      const key = keys.get(kid);
      const expected = compute(key ?? stranger, bytes).subarray(0, given.length);
      const equal = expected.length === given.length && timingSafeEqual(expected, given);
      return equal && key !== undefined && given.length >= MIN_MAC_BYTES;
    },
  };
}
