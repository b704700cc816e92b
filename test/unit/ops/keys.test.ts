/** The key file: what is a key, what a changed or broken file does, and that faults never quote it. */
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { loadCallbackKeys, parseCallbackKeys } from '../../../src/ops/keys.ts';
import type { CallbackKeys } from '../../../src/ops/keys.ts';

const A = Buffer.alloc(32, 1).toString('base64');
const B = Buffer.alloc(32, 2).toString('base64');
const text = new TextEncoder();

describe('the key file', () => {
  test('holds kid:base64 lines; blank lines and comments are skipped', () => {
    const parsed = parseCallbackKeys(`# rotated in May\n\na:${A}\r\n  b-2: ${B}\n`);
    expect(parsed.ok && parsed.keys.map(({ kid }) => kid)).toEqual(['a', 'b-2']);
  });

  test.each([
    ['nothing', '', 'no key in the file'],
    ['no colon', A, 'line 1: expected "kid:base64"'],
    ['an id the token cannot carry', `a.b:${A}`, 'line 1: the key id must be 1 to 12 letters, digits, "-" or "_"'],
    ['text that is not base64', 'a:%%%%not-base64%%%%%%%%%%%%%%', 'line 1: the key is not base64'],
    ['a key that is too short', `a:${Buffer.alloc(15).toString('base64')}`, 'line 1: the key is shorter than 16 bytes'],
    ['the same id twice', `a:${A}\na:${B}`, 'line 2: the key id appears twice'],
    ['two faults', `x\ny`, 'line 1: expected "kid:base64"; line 2: expected "kid:base64"'],
  ])('is refused with the line, never the content: %s', (_, content, fault) => {
    const parsed = parseCallbackKeys(content);
    expect(parsed.ok ? '' : parsed.faults.join('; ')).toBe(fault);
  });
});

describe('following the file', () => {
  let folder: string;
  let keys: CallbackKeys | undefined;
  const faults: string[] = [];
  const load = async (reloadIntervalMs = 3_600_000): Promise<CallbackKeys> => {
    keys = await loadCallbackKeys({
      path: join(folder, 'keys'),
      reloadIntervalMs,
      onFault: (fault) => faults.push(fault),
    });
    return keys;
  };
  const write = (content: string) => writeFile(join(folder, 'keys'), content);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keys-'));
    faults.length = 0;
  });
  afterEach(async () => {
    keys?.stop();
    await rm(folder, { recursive: true });
  });

  test('fails closed without a readable file: not ready, signs nothing, verifies nothing', async () => {
    const loaded = await load();
    expect(loaded.ready()).toBe(false);
    expect(loaded.sign(text.encode('x'))).toBeUndefined();
    expect(loaded.verify('a', text.encode('x'), new Uint8Array(18))).toBe(false);
    expect(faults).toEqual(['the file cannot be read (ENOENT)']);
  });

  test('is ready without a file where none is needed, verifies nothing, and follows the file from when it is there', async () => {
    const loaded = await loadCallbackKeys({
      path: join(folder, 'keys'),
      mayBeAbsent: true,
      onFault: (fault) => faults.push(fault),
    });
    expect(loaded.ready()).toBe(true);
    expect(loaded.fault()).toBeUndefined();
    expect(loaded.verify('a', text.encode('x'), new Uint8Array(18))).toBe(false);
    await write('nonsense');
    await loaded.reload();
    expect(loaded.ready()).toBe(false);
    await write(`a:${A}`);
    await loaded.reload();
    expect(loaded.kids()).toEqual(['a']);
    await rm(join(folder, 'keys'));
    await loaded.reload();
    loaded.stop();
    expect(loaded.kids()).toEqual(['a']);
    expect(faults).toEqual(['line 1: expected "kid:base64"', 'the file cannot be read (ENOENT)']);
  });

  test('becomes ready when the file appears', async () => {
    const loaded = await load();
    await write(`a:${A}`);
    await loaded.reload();
    expect(loaded.ready()).toBe(true);
    expect(loaded.fault()).toBeUndefined();
  });

  test('rotates without refusing a signature of either key: append, then move first, then remove', async () => {
    await write(`a:${A}`);
    const loaded = await load();
    const byA = loaded.sign(text.encode('x'))!;
    for (const content of [`a:${A}\nb:${B}`, `b:${B}\na:${A}`]) {
      await write(content);
      await loaded.reload();
      expect(loaded.verify(byA.kid, text.encode('x'), byA.mac)).toBe(true);
    }
    expect(loaded.signingKid()).toBe('b');
    await write(`b:${B}`);
    await loaded.reload();
    expect(loaded.verify(byA.kid, text.encode('x'), byA.mac)).toBe(false);
  });

  test.each([
    ['gone', () => rm(join(folder, 'keys'))],
    ['empty', () => write('')],
    ['broken', () => write(`a:${A}\nnonsense`)],
  ])('keeps the previous keys and says so when the file is %s', async (_, breakFile) => {
    await write(`a:${A}`);
    const loaded = await load();
    await breakFile();
    await loaded.reload();
    await loaded.reload();
    expect(loaded.kids()).toEqual(['a']);
    expect(faults).toHaveLength(1);
    expect(loaded.fault()).toBe(faults[0]);
    expect(faults.join()).not.toContain(A);
  });

  test('sees a mounted Secret change, which swaps a symbolic link, without being told', async () => {
    await writeFile(join(folder, 'v1'), `a:${A}`);
    await writeFile(join(folder, 'v2'), `b:${B}`);
    await symlink('v1', join(folder, 'keys'));
    const loaded = await load(20);
    await symlink('v2', join(folder, 'next'));
    await rename(join(folder, 'next'), join(folder, 'keys'));
    await vi.waitUntil(() => loaded.signingKid() === 'b', { timeout: 5_000 });
  });

  test('verifies with the leading bytes it is given, but never with fewer than 16', async () => {
    await write(`a:${A}`);
    const loaded = await load();
    const { kid, mac } = loaded.sign(text.encode('x'))!;
    expect(loaded.verify(kid, text.encode('x'), mac.subarray(0, 18))).toBe(true);
    expect(loaded.verify(kid, text.encode('x'), mac.subarray(0, 15))).toBe(false);
    expect(loaded.verify(kid, text.encode('x'), new Uint8Array(0))).toBe(false);
  });
});
