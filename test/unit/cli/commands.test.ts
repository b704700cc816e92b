/** How a command line is read: what it means, or what is wrong with it in one sentence. */
import { describe, expect, test } from 'vitest';
import { CAPTCHA_FIELDS } from '../../../src/api/generated/fields.ts';
import { CAPTCHA_TYPES } from '../../../src/api/names.ts';
import { COMMANDS, readLine } from '../../../src/cli/commands.ts';
import { COMMON_FLAGS, flagNameOf, solveFlagsOf, typeNamed } from '../../../src/cli/flags.ts';

const read = (line: string) => readLine(line.split(' ').filter((word) => word !== ''));
const wrong = (line: string): string => {
  const result = read(line);
  return result.kind === 'wrong' ? result.message : `${result.kind}, not wrong`;
};

describe('a flag', () => {
  test.each([
    [['siteKey'], 'site-key'],
    [['pageURL'], 'page-url'],
    [['captchaID'], 'captcha-id'],
    [['divID'], 'div-id'],
    [['dataS'], 'data-s'],
    [['gt'], 'gt'],
    [['bodyFrom', 'configMapKeyRef'], 'body-from-config-map-key-ref'],
    [['proxy', 'secretRef'], 'proxy-secret-ref'],
    [['ttlSecondsAfterFinished'], 'ttl-seconds-after-finished'],
  ])('for %j is --%s', (path, name) => {
    expect(flagNameOf(path)).toBe(name);
  });

  test.each(CAPTCHA_TYPES)('of %s has a name of its own', (type) => {
    const names = [...solveFlagsOf(type), ...COMMON_FLAGS].map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    const shorts = [...solveFlagsOf(type), ...COMMON_FLAGS].flatMap(({ short }) => short ?? []);
    expect(new Set(shorts).size).toBe(shorts.length);
  });

  test('is there for every field of every captcha', () => {
    for (const [type, { fields }] of Object.entries(CAPTCHA_FIELDS)) {
      const names = solveFlagsOf(type).map(({ name }) => name);
      expect(
        fields.map(({ path }) => flagNameOf(path)).filter((name) => !names.includes(name)),
        type,
      ).toEqual([]);
    }
    expect(Object.keys(CAPTCHA_FIELDS)).toEqual([...CAPTCHA_TYPES]);
  });
});

describe('a type', () => {
  test.each(['RecaptchaV2', 'recaptchav2', 'recaptcha-v2', 'RECAPTCHA_V2'])('may be written as %s', (text) => {
    expect(typeNamed(text)).toBe('RecaptchaV2');
  });

  test('that does not exist is none', () => {
    expect(typeNamed('recaptcha')).toBeUndefined();
  });
});

describe('a line', () => {
  test('of solve carries the type and its flags', () => {
    const line = read('solve turnstile --site-key 0x4A --page-url=https://a.example -n shop -o json');
    expect(line).toMatchObject({ kind: 'run', command: 'solve', args: ['Turnstile'] });
    expect(line).toHaveProperty(
      'values',
      expect.objectContaining({ 'site-key': '0x4A', namespace: 'shop', output: 'json' }),
    );
  });

  test('of redrive carries every letter', () => {
    expect(read('redrive a b')).toMatchObject({ command: 'redrive', args: ['a', 'b'] });
    expect(read('redrive --all -A')).toMatchObject({ command: 'redrive', args: [] });
  });

  test.each([
    ['solve', 'solve takes the type of the captcha first'],
    ['solve --site-key a', 'solve takes the type of the captcha first'],
    ['solve recaptcha', 'there is no captcha type "recaptcha"; see kubectl captcha solve --help'],
    ['solve turnstile --sitekey a', "Unknown option '--sitekey'; see kubectl captcha solve Turnstile --help"],
    ['solve turnstile again', 'solve does not take "again"'],
    ['solve turnstile --delivery Never', '--delivery is one of Callback, Poll'],
    ['solve turnstile --timeout soon', '--timeout takes a duration'],
    ['wait a --timeout 10x', '--timeout takes a duration, as 90s, 10m or 1h; see kubectl captcha wait --help'],
    ['top --interval often', '--interval takes a duration'],
    ['wait', 'wait takes <task>'],
    ['wait a b', 'wait does not take "b"'],
    ['list -o yaml', '--output is one of json'],
    ['redrive', 'redrive takes letters, or --all'],
    ['redrive a --all', 'redrive takes letters, or --all'],
    ['completion', 'completion takes bash|zsh|fish'],
    ['solv', 'there is no command "solv"; see kubectl captcha --help'],
  ])('"%s" is wrong: %s', (line, message) => {
    expect(wrong(line)).toContain(message);
  });

  test('asks for help of each command, and of a type', () => {
    for (const { name, about } of COMMANDS)
      expect(read(`${name} --help`)).toHaveProperty('text', expect.stringContaining(about));
    expect(read('solve image --help')).toHaveProperty('text', expect.stringContaining('--file <path>'));
    expect(read('')).toHaveProperty('text', expect.stringContaining('Exit codes'));
  });
});
