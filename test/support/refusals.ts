/**
 * Makes the API server refuse writes in one namespace, by a ValidatingAdmissionPolicy with a CEL condition: the real
 * thing that a cluster's administrator would have put there. Policies take effect some time after they are written, so
 * both directions are waited for by dry runs.
 */
import { messageOf, objectOf } from '../../dev/control-plane/index.ts';
import { admin } from './cluster.ts';
import { waitUntil } from './wait-until.ts';

export interface Refusal {
  namespace: string;
  /** Names the policy; unique in the test file. */
  name: string;
  /** Of our group, with its subresource: `captchatasks/status`. */
  resource: string;
  operations: readonly ('CREATE' | 'UPDATE')[];
  /** CEL: true for what may pass. */
  allowed: string;
  /** A request that the policy refuses, made as a dry run. */
  probe: () => Promise<{ status: number; body: unknown }>;
}

const PATH = '/apis/admissionregistration.k8s.io/v1';
const WORDS = 'refused by a policy of this test';

/** Resolves when the policy works, with the way to take it away (which resolves when it works no more). */
export async function refuse(refusal: Refusal): Promise<() => Promise<void>> {
  const { namespace, resource, operations, allowed } = refusal;
  const name = `${namespace}-${refusal.name}`;
  const rule = { apiGroups: ['captcha-operator.io'], apiVersions: ['*'], operations, resources: [resource] };
  const policy = {
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [rule],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      },
      validations: [{ expression: allowed, message: WORDS }],
    },
  };
  objectOf(await admin.create(`${PATH}/validatingadmissionpolicies`, policy));
  const binding = { metadata: { name }, spec: { policyName: name, validationActions: ['Deny'] } };
  objectOf(await admin.create(`${PATH}/validatingadmissionpolicybindings`, binding));
  const refused = async (): Promise<boolean> => messageOf(await refusal.probe()).includes(WORDS);
  await waitUntil(`the policy ${refusal.name} to refuse`, refused);
  return async () => {
    objectOf(await admin.delete(`${PATH}/validatingadmissionpolicybindings/${name}`));
    objectOf(await admin.delete(`${PATH}/validatingadmissionpolicies/${name}`));
    await waitUntil(`the policy ${refusal.name} to be gone`, async () => !(await refused()));
  };
}
