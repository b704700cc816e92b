/**
 * SHA-256 (FIPS 180-4) of a text's UTF-8 bytes, in plain arithmetic, because the core imports nothing. Used for names
 * that must be the same wherever they are computed (`core/deadletter/names`), a few times a day: it is not made for
 * speed. Refuses to be a MAC: tokens are signed with `node:crypto` in `ops/keys`.
 */

/** The digest as 64 lower-case hexadecimal digits. */
export function sha256Hex(text: string): string {
  const state = [...INITIAL];
  const bytes = padded(new TextEncoder().encode(text));
  for (let offset = 0; offset < bytes.length; offset += 64) compress(state, bytes.subarray(offset, offset + 64));
  return state.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

/** The message, one 1 bit, zeros, and the length in bits, to a multiple of 64 bytes. */
function padded(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, Math.floor((message.length * 8) / 2 ** 32));
  view.setUint32(bytes.length - 4, (message.length * 8) >>> 0);
  return bytes;
}

function compress(state: number[], block: Uint8Array): void {
  const words = schedule(block);
  let [a, b, c, d, e, f, g, h] = state as [number, number, number, number, number, number, number, number];
  for (const [round, word] of words.entries()) {
    const choice = (e & f) ^ (~e & g);
    const first = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + choice + ROUND[round]! + word) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + majority) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = (state[index]! + value) | 0;
}

function schedule(block: Uint8Array): number[] {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const words = Array.from({ length: 16 }, (_, index) => view.getInt32(index * 4));
  for (let index = 16; index < 64; index += 1) {
    const early = words[index - 15]!;
    const late = words[index - 2]!;
    const small = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const large = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    words.push((words[index - 16]! + small + words[index - 7]! + large) | 0);
  }
  return words;
}

function rotated(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

/** The first 32 bits of the fractional part of a root of a prime; doubles are exact enough for 32 bits. */
function fraction(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32) | 0;
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate += 1) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
}

const ROUND = primes(64).map((prime) => fraction(Math.cbrt(prime)));
const INITIAL = primes(8).map((prime) => fraction(Math.sqrt(prime)));
