/**
 * The callback capability: what is minted is accepted, and nothing else is. The forgery run takes 20,000 cases by
 * default; `TOKEN_FORGERY_RUNS=10000000 npx vitest run --project unit test/unit/core/token.test.ts --testTimeout 0` runs ten million.
 */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TokenClaims, TokenSigner } from '../../../src/core/token.ts';
import {
  MAX_TOKEN_LENGTH,
  createPingbackMinter,
  formatToken,
  parseToken,
  pingbackUrl,
  signedBytesOf,
} from '../../../src/core/token.ts';
import { createCallbackKeyRing } from '../../../src/ops/keys.ts';

const secretOf = (seed: string): Uint8Array => createHash('sha256').update(seed).digest();
const ring = createCallbackKeyRing();
ring.replace([
  { kid: 'new', secret: secretOf('new') },
  { kid: 'old', secret: secretOf('old') },
]);
const foreign = createCallbackKeyRing();
foreign.replace([
  { kid: 'new', secret: secretOf('another installation') },
  { kid: 'gone', secret: secretOf('gone') },
]);

const task = { namespace: 'team-a', name: 'login.page-1', uid: '6f1f3c7e-9d0e-4b3c-8a54-0d9a6b1c2e3f' };
const claims: TokenClaims = { kid: 'new', ...task, attempt: 3 };

function mint(of: TokenClaims, keys: TokenSigner = ring): string {
  return formatToken(of, keys.mac(of.kid, signedBytesOf(of)) ?? new Uint8Array(32));
}
/** The claims the sidecar would act on. */
function accept(text: string): TokenClaims | undefined {
  const parsed = parseToken(text);
  if (parsed === undefined) return undefined;
  return ring.verify(parsed.claims.kid, parsed.signedBytes, parsed.mac) ? parsed.claims : undefined;
}

function mintAt(callbackURL: string, keys: TokenSigner, attempt: number): string | undefined {
  return createPingbackMinter({ callbackURL, keys })(task, attempt);
}
const tail = (token: string): string => token.slice(-24);

const word = (alphabet: string, max: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet.split('')), minLength: 1, maxLength: max });
const lower = 'abcdefghijklmnopqrstuvwxyz0123456789';
const anyClaims = fc.record({
  kid: fc.constantFrom('new', 'old'),
  namespace: word(`${lower}-`, 63),
  name: fc.tuple(word(lower, 1), word(`${lower}-.`, 252)).map(([first, rest]) => first + rest),
  uid: fc.uuid(),
  attempt: fc.integer({ min: 1, max: 99_999 }),
});

describe('a minted token', () => {
  test('names its task and attempt again, whatever dots the name holds', () => {
    fc.assert(
      fc.property(anyClaims, (of) => {
        expect(accept(mint(of))).toEqual(of);
      }),
    );
  });

  test('is spelled as earlier versions spelled it', () => {
    const mac = Uint8Array.from({ length: 32 }, (_, index) => 255 - index * 13);
    const uid = '5e0c3a52-6a6c-4f2c-8c65-1c1a60c20a11';
    const token = formatToken({ kid: 'k1', namespace: 'team-a', name: 'login.check', uid, attempt: 3 }, mac);
    expect(token).toBe(`k1.team-a.login.check.${uid}.3.__Ll2Mu-saSXin1wY1ZJPC8i`);
    expect([...(parseToken(token)?.mac ?? [])]).toEqual([...mac.subarray(0, 18)]);
  });

  test('keeps namespace and name readable in the path', () => {
    expect(mint(claims)).toContain('.team-a.login.page-1.');
  });

  test('fits into a URL below 512 characters at every maximum, behind a CALLBACK_URL of 100', () => {
    const base = `https://${'h'.repeat(92)}`;
    const keys = createCallbackKeyRing();
    keys.replace([{ kid: 'k'.repeat(12), secret: secretOf('k') }]);
    const widest = { namespace: 'n'.repeat(63), name: 'a'.repeat(253), uid: task.uid };
    const url = createPingbackMinter({ callbackURL: base, keys })(widest, 99_999);
    expect(base).toHaveLength(100);
    expect(url?.length).toBeLessThan(512);
    expect(url?.split('/').at(-1)).toHaveLength(MAX_TOKEN_LENGTH);
  });

  test('is not minted where it could not be taken back: no key, too many attempts, a URL too long', () => {
    expect(mintAt('https://cb.example', createCallbackKeyRing(), 1)).toBeUndefined();
    expect(mintAt('https://cb.example', ring, 100_000)).toBeUndefined();
    expect(mintAt(`https://${'h'.repeat(410)}`, ring, 1)).toBeUndefined();
  });

  test('is signed by the first key of the file and verified by every key', () => {
    const url = createPingbackMinter({ callbackURL: 'https://cb.example/', keys: ring })(task, 1);
    expect(url).toBe(pingbackUrl('https://cb.example', mint({ ...claims, attempt: 1 })));
    expect(accept(mint({ ...claims, kid: 'old' }))).toEqual({ ...claims, kid: 'old' });
  });
});

describe('another spelling of the same bytes', () => {
  const token = mint(claims);
  const spellings: [string, string][] = [
    ['a percent-encoded dot', token.replace('.', '%2E')],
    ['a percent-encoded letter', token.replace('team', '%74eam')],
    ['upper case', token.toUpperCase()],
    ['base64 padding', `${token}=`],
    ['a leading zero', token.replace('.3.', '.03.')],
    ['a plus sign before the number', token.replace('.3.', '.+3.')],
    ['a space behind it', `${token} `],
    ['a line break behind it', `${token}\n`],
    ['a slash behind it', `${token}/`],
    ['a NUL behind it', `${token}\0`],
    ['a full-width digit', token.replace('.3.', '.３.')],
    ['an empty dot part', token.replace('new.', 'new..')],
  ];
  test.each(spellings)('is refused: %s', (_, spelling) => {
    expect(spelling).not.toBe(token);
    expect(accept(spelling)).toBeUndefined();
  });

  test('does not exist for the MAC: every other last character is another MAC', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=';
    const accepted = alphabet.split('').filter((last) => accept(token.slice(0, -1) + last) !== undefined);
    expect(accepted).toEqual([token.at(-1)]);
  });
});

describe('a forged token', () => {
  const genuine = mint(claims);
  const otherTask = mint({ ...claims, name: 'other', uid: '00000000-9d0e-4b3c-8a54-0d9a6b1c2e3f' });
  const at = fc.nat(genuine.length - 1);
  const forgeries = fc.oneof(
    // One bit flipped anywhere.
    fc
      .tuple(at, fc.nat(6))
      .map(([i, bit]) => replaceAt(genuine, i, String.fromCharCode(genuine.charCodeAt(i) ^ (1 << bit)))),
    // One character replaced, inserted or removed; cut anywhere; doubled.
    fc.tuple(at, fc.string({ minLength: 1, maxLength: 1 })).map(([i, char]) => replaceAt(genuine, i, char)),
    fc.tuple(at, fc.string({ maxLength: 3 })).map(([i, text]) => genuine.slice(0, i) + text + genuine.slice(i)),
    at.map((i) => genuine.slice(0, i)),
    at.map((i) => genuine.slice(i)),
    at.map((i) => genuine.slice(0, i) + genuine.slice(i + 1)),
    // Another token's MAC; claims nobody signed; keys that are not ours or no longer ours.
    anyClaims.map((of) => `${mint(of).slice(0, -24)}${tail(genuine)}`),
    anyClaims.map((of) => `${genuine.slice(0, -24)}${tail(mint(of))}`),
    fc.constant(otherTask.slice(0, -24) + tail(genuine)),
    anyClaims.map((of) => mint({ ...of, kid: 'new' }, foreign)),
    anyClaims.map((of) => mint({ ...of, kid: 'gone' }, foreign)),
    // The other key's signature under this key's id.
    anyClaims.map((of) => formatToken({ ...of, kid: 'new' }, ring.mac('old', signedBytesOf({ ...of, kid: 'new' }))!)),
    // The parts moved between fields, all still well formed.
    anyClaims.map((of) =>
      formatToken({ ...of, attempt: (of.attempt % 99_999) + 1 }, ring.mac(of.kid, signedBytesOf(of))!),
    ),
    // Random bytes behind genuine claims, and anything at all.
    fc.uint8Array({ minLength: 18, maxLength: 18 }).map((mac) => formatToken(claims, mac)),
    fc.string({ maxLength: 450 }),
    fc.webPath(),
  );

  test('is never accepted', { timeout: 0 }, () => {
    const numRuns = Number(process.env['TOKEN_FORGERY_RUNS'] ?? 20_000);
    const genuineOnes = new Set([genuine, otherTask]);
    fc.assert(
      fc.property(forgeries, (text) => genuineOnes.has(text) || accept(text) === undefined),
      { numRuns },
    );
  });
});

function replaceAt(text: string, index: number, char: string): string {
  return text.slice(0, index) + char + text.slice(index + 1);
}
