/**
 * The callback capability: a token in the pingback URL's path that names one attempt of one task and proves that we
 * minted it. Stateless: whoever holds the keys can check it without asking anybody.
 *
 *     <kid>.<namespace>.<name>.<uid>.<attempt>.<mac>
 *
 * Only `name` may hold dots, so the text splits in one way only. The MAC is 18 of HMAC-SHA-256's 32 bytes (144 bits):
 * 24 base64url characters without spare bits, so that no other spelling decodes to the same bytes. Everything before
 * the last dot is signed as it is written, behind a fixed prefix.
 *
 * This file formats and parses; it holds no key and computes no MAC (`ops/keys.ts` does). The operator mints, the
 * sidecar's authentication middleware parses and verifies.
 */
import type { ObjectRef } from '../api/conditions.ts';
import { MAX_CALLBACK_URL_LENGTH } from '../api/names.ts';

/** Which attempt of which task a callback speaks for. */
export interface TokenClaims extends ObjectRef {
  kid: string;
  attempt: number;
}

export interface ParsedToken {
  claims: TokenClaims;
  /** The 18 bytes that came with the token; not yet verified. */
  mac: Uint8Array;
  /** What the MAC is computed over. */
  signedBytes: Uint8Array;
}

/** The part of the key file that minting needs. */
export interface TokenSigner {
  /** Id of the key that signs now; undefined while no key is loaded. */
  signingKid(): string | undefined;
  /** HMAC-SHA-256 with that key, or undefined when it is not there. */
  mac(kid: string, signedBytes: Uint8Array): Uint8Array | undefined;
}

/** Returns the pingback URL for one attempt, or undefined when it cannot be minted: the attempt is then polled. */
export type PingbackMinter = (task: ObjectRef, attempt: number) => string | undefined;

/** Path below `CALLBACK_URL`; the rest of the path is the token. */
export const CALLBACK_PATH = '/v1/callback/';
const MAC_BYTES = 18;

const SIGNED_PREFIX = 'captcha-operator.io/callback/v1\n';
const MAC_LENGTH = 24;
/** kid ≤ 12, namespace ≤ 63, name ≤ 253, uid ≤ 36, attempt ≤ 5 digits, mac 24, five dots. */
export const MAX_TOKEN_LENGTH = 398;
const TOKEN =
  /^([A-Za-z0-9_-]{1,12})\.([a-z0-9-]{1,63})\.([a-z0-9][a-z0-9.-]{0,252})\.([A-Za-z0-9-]{1,36})\.([1-9]\d{0,4})\.([A-Za-z0-9_-]{24})$/;

const encoder = new TextEncoder();

/** What is signed for these claims; shared by minting and checking so that they cannot drift apart. */
export function signedBytesOf(claims: TokenClaims): Uint8Array {
  return encoder.encode(SIGNED_PREFIX + head(claims));
}

/** Writes the token. `mac` needs at least 18 bytes; the first 18 are kept. */
export function formatToken(claims: TokenClaims, mac: Uint8Array): string {
  return `${head(claims)}.${Buffer.from(mac.subarray(0, MAC_BYTES)).toString('base64url')}`;
}

/** Splits a token exactly as written (the caller must not percent-decode it first); undefined when it is none. */
export function parseToken(text: string): ParsedToken | undefined {
  if (text.length > MAX_TOKEN_LENGTH) return undefined;
  const match = TOKEN.exec(text);
  if (match === null) return undefined;
  const [, kid = '', namespace = '', name = '', uid = '', attempt = '', mac = ''] = match;
  return {
    claims: { kid, namespace, name, uid, attempt: Number(attempt) },
    mac: Buffer.from(mac, 'base64url'),
    signedBytes: encoder.encode(SIGNED_PREFIX + text.slice(0, -(MAC_LENGTH + 1))),
  };
}

/** `base` is `CALLBACK_URL`, with or without a slash at its end. */
export function pingbackUrl(base: string, token: string): string {
  return (base.endsWith('/') ? base.slice(0, -1) : base) + CALLBACK_PATH + token;
}

/** Mints pingback URLs with whichever key signs at that moment. */
export function createPingbackMinter(options: { callbackURL: string; keys: TokenSigner }): PingbackMinter {
  const { callbackURL, keys } = options;
  return (task, attempt) => {
    const kid = keys.signingKid();
    if (kid === undefined) return undefined;
    const claims = { kid, namespace: task.namespace, name: task.name, uid: task.uid, attempt };
    const mac = keys.mac(kid, signedBytesOf(claims));
    if (mac === undefined) return undefined;
    const token = formatToken(claims, mac);
    const url = pingbackUrl(callbackURL, token);
    // A token that would not be taken back, or a URL the provider may cut, is worse than none: polling finds the task.
    return parseToken(token) !== undefined && url.length < MAX_CALLBACK_URL_LENGTH ? url : undefined;
  };
}

function head({ kid, namespace, name, uid, attempt }: TokenClaims): string {
  return `${kid}.${namespace}.${name}.${uid}.${attempt}`;
}
