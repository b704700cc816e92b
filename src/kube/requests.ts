/**
 * Spells requests on the wire: path, method, body and content type of each verb, and the queries of lists and watches.
 * Pure. It never writes status by a merge-patch: the API server ignores the uid in one and would change whatever
 * object has that name now.
 */
import { resourcePath } from './types.ts';
import type { ApiRequest, Resource } from './types.ts';
import type { WireRequest } from './transport.ts';

export interface ListOptions {
  namespace?: string | undefined;
  limit?: number | undefined;
  continue?: string | undefined;
  fieldSelector?: string | undefined;
  labelSelector?: string | undefined;
  resourceVersion?: string | undefined;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined;
  /** Only `metadata` of each object: a tenth of the bytes where bodies do not matter. */
  metadataOnly?: boolean | undefined;
}

export interface WatchQuery {
  namespace?: string | undefined;
  fieldSelector?: string | undefined;
  labelSelector?: string | undefined;
  resourceVersion?: string | undefined;
  /** Begins with every object there is, as ADDED, and ends that part with an annotated bookmark; without a version. */
  sendInitialEvents?: true | undefined;
  /** The server ends the watch after this long. */
  timeoutSeconds?: number | undefined;
}

const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export function wireRequestOf(request: ApiRequest): WireRequest {
  const { resource, namespace } = request;
  if (request.verb === 'create') return write('POST', resourcePath(resource, namespace), request.object);
  if (request.verb === 'list') return listRequestOf(resource, { namespace, fieldSelector: request.fieldSelector });
  return namedRequestOf(request, resourcePath(resource, namespace, request.name));
}

function namedRequestOf(request: Exclude<ApiRequest, { verb: 'create' | 'list' }>, path: string): WireRequest {
  if (request.verb === 'get') {
    const accept = request.metadataOnly === true ? { accept: METADATA } : {};
    return { method: 'GET', path: request.read === 'cached' ? `${path}?resourceVersion=0` : path, ...accept };
  }
  if (request.verb === 'replaceStatus') return write('PUT', `${path}/status`, request.object);
  if (request.verb === 'replace') return write('PUT', path, request.object);
  if (request.verb === 'patchStatus') {
    return { ...write('PATCH', `${path}/status`, request.patch), contentType: 'application/json-patch+json' };
  }
  if (request.verb === 'mergePatch') {
    return { ...write('PATCH', path, request.patch), contentType: 'application/merge-patch+json' };
  }
  return write('DELETE', path, deleteOptions(request));
}

function write(method: WireRequest['method'], path: string, body: object): WireRequest {
  return { method, path, body: JSON.stringify(body), contentType: 'application/json' };
}

function deleteOptions(request: Extract<ApiRequest, { verb: 'delete' }>): object {
  const { preconditions } = request;
  return { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions };
}

export function listRequestOf(resource: Resource, options: ListOptions): WireRequest {
  const { namespace, metadataOnly, ...query } = options;
  const request: WireRequest = { method: 'GET', path: resourcePath(resource, namespace) + queryOf(query) };
  if (metadataOnly) request.accept = METADATA_LIST;
  return request;
}

export function watchRequestOf(resource: Resource, options: WatchQuery): WireRequest {
  const { namespace, fieldSelector, labelSelector, resourceVersion, timeoutSeconds, sendInitialEvents } = options;
  const initial = sendInitialEvents && { sendInitialEvents, resourceVersionMatch: 'NotOlderThan' };
  const selection = { fieldSelector, labelSelector, resourceVersion, timeoutSeconds };
  const all = { watch: true, allowWatchBookmarks: true, ...selection, ...initial };
  return { method: 'GET', path: resourcePath(resource, namespace) + queryOf(all) };
}

function queryOf(parameters: Record<string, string | number | boolean | undefined>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') parts.push(`${name}=${encodeURIComponent(value)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
