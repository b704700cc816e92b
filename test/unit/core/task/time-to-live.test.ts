import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { ObjectMeta } from '../../../../src/api/conditions.ts';
import { dueTime } from '../../../../src/core/task/time-to-live.ts';
import { T0, aTask } from '../../../support/builders.ts';

const solved = () => aTask().intended(T0).submitted(T0).solved(T0);
const withMetadata = (task: CaptchaTask, metadata: Partial<ObjectMeta>): CaptchaTask => ({
  ...task,
  metadata: { ...task.metadata, ...metadata },
});

const trackedAs = (id: string) => ({ annotations: { 'argocd.argoproj.io/tracking-id': id } });
const labelled = (name: string) => ({ labels: { [name]: 'captchas' } });
const GITOPS: [how: string, metadata: Partial<ObjectMeta>][] = [
  ["Argo CD's annotation", trackedAs('captchas:captcha-operator.io/CaptchaTask:default/login')],
  ["Argo CD's own label", labelled('argocd.argoproj.io/instance')],
  ['the name Argo CD applies under', { managedFields: [{ manager: 'argocd-controller' }] }],
  ['the name Argo CD applied under before', { managedFields: [{ manager: 'argocd-application-controller' }] }],
  ['a Kustomization of Flux', labelled('kustomize.toolkit.fluxcd.io/name')],
  ['a HelmRelease of Flux', labelled('helm.toolkit.fluxcd.io/name')],
];
const OTHERS: [what: string, metadata: Partial<ObjectMeta>][] = [
  ['a label that everybody uses', labelled('app.kubernetes.io/instance')],
  ['an id of Argo CD that names another object', trackedAs('shop:apps/Deployment:default/login')],
  ['an id of Argo CD that names another task', trackedAs('shop:captcha-operator.io/CaptchaTask:default/signup')],
  ['another writer', { managedFields: [{ manager: 'kubectl-client-side-apply' }, {}] }],
  [
    'a label of Flux that its controller copied to it',
    {
      ...labelled('kustomize.toolkit.fluxcd.io/name'),
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Login', name: 'alice', uid: 'u', controller: true }],
    },
  ],
];

describe('a finished task', () => {
  test('without a time of its own has the default', () => {
    const task = solved().build();
    expect(dueTime(task, 60)).toBe(T0 + 60_000);
    expect(dueTime(task, undefined)).toBeUndefined();
    expect(dueTime(aTask().build(), 60)).toBeUndefined();
  });

  test.each(GITOPS)('that %s marks is not deleted by the default, because it would be paid for anew', (_, metadata) => {
    expect(dueTime(withMetadata(solved().build(), metadata), 60)).toBeUndefined();
  });

  test.each(GITOPS)('that %s marks is deleted by a time of its own', (_, metadata) => {
    const task = solved().spec({ ttlSecondsAfterFinished: 30 }).build();
    expect(dueTime(withMetadata(task, metadata), 60)).toBe(T0 + 30_000);
  });

  test.each(OTHERS)('with %s is deleted by the default', (_, metadata) => {
    expect(dueTime(withMetadata(solved().build(), metadata), 60)).toBe(T0 + 60_000);
  });
});
