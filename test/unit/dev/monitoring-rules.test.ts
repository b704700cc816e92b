import { expect, test } from 'vitest';

import { shippedRules, shortenRules } from '../../../dev/monitoring/rules.ts';

test('shortening divides every duration of the rules and nothing else', () => {
  const rules = `
groups:
  - name: a
    rules:
      - alert: A
        expr: sum(increase(x{code="5m"}[30m])) - max(x offset 15m) > 1800
        for: 5m
        labels: {severity: warning}
      - alert: B
        expr: absent(x)
`;
  expect(shortenRules(rules, 60)).toBe(`groups:
  - name: a
    rules:
      - alert: A
        expr: sum(increase(x{code="5m"}[30000ms])) - max(x offset 15000ms) > 1800
        for: 5000ms
        labels:
          severity: warning
      - alert: B
        expr: absent(x)
`);
});

test('every duration of the shipped rules can be shortened', async () => {
  const shortened = shortenRules(await shippedRules(), 60);
  expect(shortened).not.toMatch(/for: \d+[smh]\b|\[\d+[smh]\]|offset \d+[smh]\b/);
  expect(shortened).toMatch(/for: 5000ms/);
});
