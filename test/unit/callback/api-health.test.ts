/** When the Kubernetes API counts as down. */
import { expect, test } from 'vitest';
import { createApiHealth } from '../../../src/callback/api-health.ts';

test('the API counts as down after three failures in a row, and as up with the first success', () => {
  const health = createApiHealth();
  for (const [step, up] of [
    ['failed', true],
    ['failed', true],
    ['succeeded', true],
    ['failed', true],
    ['failed', true],
    ['failed', false],
    ['succeeded', true],
  ] as const) {
    health[step]();
    expect(health.isUp()).toBe(up);
  }
});
