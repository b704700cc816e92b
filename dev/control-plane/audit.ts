/**
 * The API server's own record of who asked for what, for tests that compare the rights an identity has with those it
 * uses. Off by default: it costs a line for each request. Holds no bodies, only names and verbs.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ADMINISTRATOR, type Identity } from './identities.ts';

export interface AuditedRequest {
  /** As in a role: get, list, watch, create, update, patch, delete. */
  verb: string;
  apiGroup: string;
  /** With the subresource: `captchatasks/status`. */
  resource: string;
  namespace: string;
  allowed: boolean;
}

interface AuditEvent {
  verb: string;
  user: { username: string };
  objectRef?: { apiGroup?: string; resource?: string; subresource?: string; namespace?: string };
  annotations?: Record<string, string>;
}

/** Writes the policy and returns the flags that make the API server keep the record. */
export async function prepareAudit(directory: string): Promise<string[]> {
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    // A watch is recorded when it begins; when it ends may be after the test.
    omitStages: ['RequestReceived'],
    rules: [{ level: 'None', users: [ADMINISTRATOR.user, 'system:apiserver'] }, { level: 'Metadata' }],
  };
  const file = join(directory, 'audit-policy.json');
  await writeFile(file, JSON.stringify(policy));
  return [`--audit-policy-file=${file}`, `--audit-log-path=${auditFile(directory)}`];
}

function auditFile(directory: string): string {
  return join(directory, 'audit.log');
}

/** Every resource request of `identity` so far, in order; repeated for requests that were recorded at two stages. */
export async function readAudit(directory: string, identity: Identity): Promise<AuditedRequest[]> {
  const lines = (await readFile(auditFile(directory), 'utf8')).split('\n');
  // The last line may be half written.
  return lines.slice(0, -1).flatMap((line) => {
    const { verb, user, objectRef, annotations } = JSON.parse(line) as AuditEvent;
    if (user.username !== identity.user || objectRef?.resource === undefined) return [];
    const { apiGroup = '', resource, subresource, namespace = '' } = objectRef;
    const allowed = annotations?.['authorization.k8s.io/decision'] === 'allow';
    return [{ verb, apiGroup, resource: subresource ? `${resource}/${subresource}` : resource, namespace, allowed }];
  });
}
