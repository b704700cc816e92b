import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../../src/api/captchatask.ts';
import { isHint } from '../../../../src/core/solution.ts';
import { isAbridged, packTask, unpackTask } from '../../../../src/core/task/packed.ts';
import { aTask } from '../../../support/builders.ts';

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => [`${name}${index}`, 'x'.repeat(20)]);

describe('a packed task', () => {
  test.each([
    ['new', aTask()],
    ['waiting', aTask().waiting('ProviderBusy')],
    ['submitted', aTask().intended().submitted()],
    ['marked', aTask().intended().submitted().marked()],
    ['with a message of its own', aTask().status({ conditions: [] }).waiting('MissingAPIKey')],
  ])('%s unpacks to the same', (_name, builder) => {
    const task = builder.build();
    expect(unpackTask(packTask(task))).toEqual(task);
  });
  test('leaves out what no rule reads', () => {
    const task = aTask().intended().submitted().build();
    const raw = {
      ...task,
      metadata: { ...task.metadata, managedFields: [{ manager: 'x'.repeat(5_000) }], labels: { a: 'b' } },
    };
    expect(packTask(raw).text.length).toBeLessThan(1_000);
  });
  const pageURL = 'https://example.com/login';
  const LARGE: [string, Captcha][] = [
    ['an image', { type: 'Image', image: { body: 'A'.repeat(200_000), numeric: 1 } }],
    ['a grid', { type: 'Grid', grid: { body: 'A'.repeat(200_000), rows: 3, columns: 3 } }],
    ['tiles', { type: 'BLS', bls: { instructions: '664', images: Array<string>(9).fill('A'.repeat(20_000)) } }],
    [
      'parameters',
      { type: 'Custom', custom: { method: 'next', parameters: { a: 'A'.repeat(16_384), b: 'A'.repeat(16_384) } } },
    ],
    [
      'many small parameters',
      { type: 'Custom', custom: { method: 'next', parameters: Object.fromEntries(numbered('p', 64)) } },
    ],
    [
      'cookies',
      { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'k', pageURL, cookies: 'A'.repeat(8_192), enterprise: true } },
    ],
  ];
  test.each(LARGE)('is small even with %s in it, and says that something is left out', (_what, captcha) => {
    const task = aTask().spec({ captcha }).intended().submitted().build();
    const packed = packTask(task);
    expect(packed.text.length).toBeLessThan(2_000);
    expect(isAbridged(unpackTask(packed).spec.captcha)).toBe(true);
    expect(isAbridged(captcha)).toBe(false);
  });
  test('keeps of a large captcha what rules read', () => {
    const kept = LARGE.map(([, captcha]) => unpackTask(packTask(aTask().spec({ captcha }).build())).spec.captcha);
    expect(kept.map(({ type }) => type)).toEqual(LARGE.map(([, { type }]) => type));
    expect(kept[1]?.grid).toMatchObject({ rows: 3, columns: 3 });
    expect(kept.map(isHint)).toEqual(LARGE.map(([, captcha]) => isHint(captcha)));
    const bodyFrom = { secretKeyRef: { name: 'n'.repeat(253), key: 'k'.repeat(253) } };
    const instructions = 'i'.repeat(1_000);
    const byReference = packTask(
      aTask()
        .spec({ captcha: { type: 'Grid', grid: { bodyFrom, instructions } } })
        .build(),
    );
    expect(unpackTask(byReference).spec.captcha.grid?.bodyFrom).toEqual(bodyFrom);
  });
});
