/** The recording of the demo in the README is a run that came out as it should, and nothing but what the demo printed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SAMPLES } from '../../dev/demo/seed.ts';
import { drawn, linesOf } from '../../scripts/record-demo.ts';
import { ROOT } from '../support/kubectl.ts';

const OUTPUT = `installing
applying 2 sample tasks in namespace demo

  4.0 s  captchatask/b  Failed  attempt 1  (ProviderRejected)
  4.2 s  captchatask/a  Submitted  attempt 1  (AwaitingCallback)
  5.5 s  captchatask/a  Solved  by Callback  attempt 1  (Solved)

NAME  SHOWS
a     1 < 2 & 3
`;

describe('a recording of the demo', () => {
  test('begins with the first task, and shows each line when the demo printed it', () => {
    expect(linesOf(OUTPUT).map(({ at }) => at)).toEqual([0, 0, 0, 1.5, 1.5, 1.5, 1.5]);
    expect(linesOf(OUTPUT)[0]?.text).toBe('applying 2 sample tasks in namespace demo');
  });

  test('adds nothing but the command, and escapes what is shown', () => {
    const texts = [...drawn(linesOf(OUTPUT)).matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
    const shown = OUTPUT.trimEnd().split('\n').slice(1);
    const steps = shown.filter((text) => text.includes('Submitted'));
    expect(texts).toHaveLength(shown.length - steps.length + 1);
    expect(texts[0]).toBe('$ npm run demo');
    expect(texts.at(-1)).toBe('a     1 &lt; 2 &amp; 3');
  });

  test('refuses what is no output of the demo', () => {
    expect(() => linesOf('make: nothing to be done')).toThrow('no output of the demo');
  });
});

describe("the README's recording", () => {
  const file = join(ROOT, 'docs/img/demo.svg');
  test('has every sample at its end, none paid twice (run `npm run record:demo`)', () => {
    expect(existsSync(file)).toBe(true);
    const text = readFileSync(file, 'utf8');
    for (const { name } of SAMPLES) expect(text).toMatch(new RegExp(`>${name} +\\w+ +(?:Solved|Failed) `));
    expect(text).toMatch(/>gw-\d{18} +\w+ +Solved /);
    expect(text).toContain('by npm’s @2captcha/captcha-solver ');
    expect(text).toContain('every task reached its expected end, none was paid twice');
  });
});
