/** What each verb looks like on the wire. */
import { describe, expect, test } from 'vitest';
import { listRequestOf, watchRequestOf, wireRequestOf } from '../../../src/kube/requests.ts';
import { keyOf, resourcePath, splitKey, versionOf } from '../../../src/kube/types.ts';

const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks' };
const SECRETS = { group: '', version: 'v1', plural: 'secrets' };
const place = { resource: TASKS, namespace: 'shop', name: 'login' };
const BASE = '/apis/captcha-operator.io/v1alpha1/namespaces/shop/captchatasks';

describe('a path', () => {
  test('of the core group starts at /api', () => {
    expect(resourcePath(SECRETS, 'ns', 's')).toBe('/api/v1/namespaces/ns/secrets/s');
  });
  test('without a namespace means all of them', () => {
    expect(resourcePath(TASKS)).toBe('/apis/captcha-operator.io/v1alpha1/captchatasks');
  });
  test('cannot be left by a name', () => {
    expect(resourcePath(TASKS, '../x', 'a/b?c', 'status')).toContain(
      '/namespaces/..%2Fx/captchatasks/a%2Fb%3Fc/status',
    );
  });
});

describe('a request', () => {
  test('reads from the cache only where that was asked for', () => {
    expect(wireRequestOf({ verb: 'get', ...place, read: 'cached' }).path).toBe(`${BASE}/login?resourceVersion=0`);
    expect(wireRequestOf({ verb: 'get', ...place, read: 'quorum' }).path).toBe(`${BASE}/login`);
  });
  test('looks up the few objects that a field selects', () => {
    const fieldSelector = 'spec.taskRef.name=login';
    expect(wireRequestOf({ verb: 'list', resource: TASKS, namespace: 'shop', fieldSelector })).toEqual({
      method: 'GET',
      path: `${BASE}?fieldSelector=spec.taskRef.name%3Dlogin`,
    });
  });
  test('patches status by JSON-patch, whose tests the server honours', () => {
    const patch = [{ op: 'test' as const, path: '/metadata/uid', value: 'u' }];
    expect(wireRequestOf({ verb: 'patchStatus', ...place, patch })).toEqual({
      method: 'PATCH',
      path: `${BASE}/login/status`,
      body: JSON.stringify(patch),
      contentType: 'application/json-patch+json',
    });
  });
  test('replaces status by PUT', () => {
    const request = wireRequestOf({ verb: 'replaceStatus', ...place, object: { a: 1 } });
    expect(request).toMatchObject({ method: 'PUT', path: `${BASE}/login/status`, body: '{"a":1}' });
  });
  test('deletes with preconditions', () => {
    const request = wireRequestOf({ verb: 'delete', ...place, preconditions: { uid: 'u', resourceVersion: '5' } });
    expect(request.method).toBe('DELETE');
    expect(JSON.parse(request.body ?? '')).toMatchObject({ preconditions: { uid: 'u', resourceVersion: '5' } });
  });
  test('creates in the collection', () => {
    const request = wireRequestOf({ verb: 'create', resource: TASKS, namespace: 'shop', object: {} });
    expect(request).toMatchObject({ method: 'POST', path: BASE });
  });
});

describe('a collection', () => {
  test('is listed with an encoded selector and without empty parameters', () => {
    const fieldSelector = 'status.phase!=Solved,status.phase!=Failed';
    expect(listRequestOf(TASKS, { fieldSelector, limit: 500, continue: undefined }).path).toBe(
      '/apis/captcha-operator.io/v1alpha1/captchatasks?fieldSelector=status.phase!%3DSolved%2Cstatus.phase!%3DFailed&limit=500',
    );
  });
  test('is listed by metadata only where that was asked for', () => {
    expect(listRequestOf(TASKS, { metadataOnly: true }).accept).toContain('PartialObjectMetadataList');
  });
  test('is watched with bookmarks', () => {
    expect(watchRequestOf(TASKS, { namespace: 'shop', resourceVersion: '7' }).path).toBe(
      `${BASE}?watch=true&allowWatchBookmarks=true&resourceVersion=7`,
    );
  });
});

test('a key and its parts are the same thing', () => {
  expect(splitKey(keyOf({ namespace: 'ns', name: 'a.b' }))).toEqual({ namespace: 'ns', name: 'a.b' });
});

test('an object without a version is older than any other', () => {
  expect(versionOf({ metadata: {} })).toBe(-1);
});
