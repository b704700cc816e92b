/**
 * Flux, kubectl and everything built on kstatus read our tasks rightly without knowing them. `kstatusOf` is the generic
 * rule of sigs.k8s.io/cli-utils/pkg/kstatus for kinds it does not know, retold; the statuses are the product's own.
 */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { UNKNOWN_REASONS } from '../../src/api/names.ts';
import { aTask } from '../support/builders.ts';

type Kstatus = 'InProgress' | 'Failed' | 'Current' | 'Terminating';

function kstatusOf({ metadata, status }: CaptchaTask): Kstatus {
  const isTrue = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation)
    return 'InProgress';
  if (isTrue('Reconciling')) return 'InProgress';
  return isTrue('Stalled') ? 'Failed' : 'Current';
}

describe('kstatus reads', () => {
  test('a running task as in progress, from its first status on', () => {
    expect(kstatusOf(aTask().intended().build())).toBe('InProgress');
    expect(kstatusOf(aTask().intended().submitted().build())).toBe('InProgress');
    expect(kstatusOf(aTask().intended().submitted().marked().build())).toBe('InProgress');
  });

  test.each(UNKNOWN_REASONS)(
    'a task that waits, reason %s, as in progress or as stalled, never as current',
    (reason) => {
      expect(kstatusOf(aTask().waiting(reason).build())).toMatch(/^(InProgress|Failed)$/);
    },
  );

  test('a solved task as current', () => {
    expect(kstatusOf(aTask().intended().submitted().solved().build())).toBe('Current');
  });

  test('a failed task as failed', () => {
    expect(kstatusOf(aTask().intended().failed().build())).toBe('Failed');
  });
});
