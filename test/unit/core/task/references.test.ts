/** Which Secrets a task may name: what is in one of the others never reaches the provider. */
import { expect, test } from 'vitest';
import { refusedReference } from '../../../../src/core/task/references.ts';

const secret = (type: string | undefined, annotations?: Record<string, string>) => ({
  ...(type === undefined ? {} : { type }),
  metadata: { name: 'one', ...(annotations === undefined ? {} : { annotations }) },
});

test.each([
  'kubernetes.io/service-account-token',
  'kubernetes.io/tls',
  'kubernetes.io/dockerconfigjson',
  'kubernetes.io/basic-auth',
  'bootstrap.kubernetes.io/token',
  'helm.sh/release.v1',
])('a Secret of type %s is refused, and the message says why', (type) => {
  expect(refusedReference(secret(type))).toBe(
    `Secret "one" is of type ${type}: tasks may not name it, because what they name is sent to the provider.`,
  );
});

test.each([undefined, 'Opaque', 'captcha-operator.io/solution', 'example.com/kubernetes.io/tls', 'kubernetes.iox/tls'])(
  'a Secret of type %s is not',
  (type) => {
    expect(refusedReference(secret(type))).toBeUndefined();
  },
);

test('a Secret that its owner keeps private is refused, whatever the annotation says', () => {
  for (const value of ['', 'true', 'false']) {
    expect(refusedReference(secret('Opaque', { 'captcha-operator.io/private': value }))).toBe(
      'Secret "one" is annotated captcha-operator.io/private: tasks may not name it, because what they name is sent to the provider.',
    );
  }
  expect(refusedReference(secret('Opaque', { 'example.com/private': 'true' }))).toBeUndefined();
});

test('no type is quoted at any length', () => {
  expect(refusedReference(secret(`helm.sh/${'x'.repeat(10_000)}`))).toMatch(/ helm\.sh\/x{92}: /);
});
