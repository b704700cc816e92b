/** What a shell may offer where the cursor is. */
import { describe, expect, test } from 'vitest';
import { CAPTCHA_TYPES } from '../../../src/api/names.ts';
import { completionOf, completionText, SCRIPTS } from '../../../src/cli/completion.ts';

const at = (line: string): string[] => completionOf(line.split(' ')).candidates.map(({ value }) => value);

describe('completion offers', () => {
  test('commands first, and those that begin so', () => {
    expect(at('')).toEqual(['solve', 'wait', 'list', 'top', 'redrive', 'doctor', 'completion']);
    expect(at('so')).toEqual(['solve']);
  });

  test('types after solve, in any capitals', () => {
    expect(at('solve ')).toEqual([...CAPTCHA_TYPES]);
    expect(at('solve recap')).toEqual(['RecaptchaV2', 'RecaptchaV3']);
  });

  test('the flags of the type, and none twice', () => {
    expect(at('solve turnstile --si')).toEqual(['--site-key']);
    expect(at('solve turnstile --site-key a --si')).toEqual([]);
    expect(at('solve custom --parameters a=1 --par')).toEqual(['--parameters']);
    expect(at('list --fi')).toEqual(['--finished']);
  });

  test('the values that a flag knows, and files where it takes one', () => {
    expect(at('solve turnstile --delivery ')).toEqual(['Callback', 'Poll']);
    expect(at('list -o ')).toEqual(['json']);
    expect(completionOf(['solve', 'image', '--file', '']).files).toBe(true);
  });

  test('names of what is open after wait and redrive', () => {
    expect(completionOf(['wait', '']).names).toBe('tasks');
    expect(completionOf(['redrive', 'a', '']).names).toBe('letters');
    expect(completionOf(['wait', '-n', 'shop', 'lo']).names).toBe('tasks');
    expect(completionOf(['wait', '--quiet', '']).names).toBe('tasks');
    expect(completionOf(['wait', '-n', 'shop', 'login', '']).names).toBeUndefined();
  });

  test('nothing where nothing may stand', () => {
    expect(at('unknown ')).toEqual([]);
    expect(at('wait a b')).toEqual([]);
    expect(at('completion ')).toEqual(Object.keys(SCRIPTS));
  });
});

test('the answer is in the words of cobra: candidates with what they are, then a directive', () => {
  const candidates = [
    { value: 'wait', about: 'Wait.' },
    { value: 'x', about: '' },
  ];
  expect(completionText({ candidates }, '')).toBe('wait\tWait.\nx\n:4\n');
  expect(completionText({ candidates, files: true }, 'w')).toBe('wait\tWait.\n:0\n');
});
