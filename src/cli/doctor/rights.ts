/**
 * Who may do what: the caller, by SelfSubjectAccessReview, and the operator's account, by SubjectAccessReview where the
 * caller may ask that. The lists are those of deploy/base and deploy/tenant. A review changes nothing.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import { GROUP } from '../../api/names.ts';
import type { ApiReply } from '../../kube/types.ts';
import { refusal, type Session } from '../session.ts';
import type { Deployment, Right, Seen } from './facts.ts';

interface Wanted {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  namespace: string;
}

const wanted = (group: string, resource: string, verbs: readonly string[], namespace: string): Wanted[] => {
  const [plural = '', subresource] = resource.split('/');
  const below = subresource === undefined ? {} : { subresource };
  return verbs.map((verb) => ({ verb, group, resource: plural, namespace, ...below }));
};

/** What this program does for its user. */
export async function mineOf(session: Session, namespace = ''): Promise<Right[]> {
  const all = [
    ...wanted(GROUP, 'captchatasks', ['get', 'list', 'watch', 'create'], namespace),
    ...wanted(GROUP, 'deadletters', ['list', 'patch'], namespace),
  ];
  const rights = await Promise.all(all.map((one) => review(session, one)));
  return rights.flatMap((right) => (right.kind === 'seen' ? [right.value] : []));
}

export interface Operator {
  deployment: Seen<Deployment>;
  systemNamespace: string;
  /** `WATCH_NAMESPACES`: empty is all. */
  watched: string;
  /** Namespaces whose tasks name Secrets or ConfigMaps. */
  tenants: readonly string[];
}

export async function operatorsOf(session: Session, operator: Operator): Promise<Seen<readonly Right[]>> {
  const { deployment, systemNamespace, watched, tenants } = operator;
  const account =
    (deployment.kind === 'seen' && deployment.value.spec.template.spec.serviceAccountName) || 'captcha-operator';
  const who = {
    user: `system:serviceaccount:${systemNamespace}:${account}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${systemNamespace}`, 'system:authenticated'],
  };
  const spaces = watched.split(',').map((name) => name.trim());
  const all = [
    ...spaces.flatMap((space) => [
      ...wanted(GROUP, 'captchatasks', ['get', 'list', 'watch', 'delete'], space),
      ...wanted(GROUP, 'captchatasks/status', ['update', 'patch'], space),
      ...wanted(GROUP, 'deadletters', ['get', 'list', 'watch', 'create', 'delete'], space),
      ...wanted(GROUP, 'deadletters/status', ['update'], space),
      ...wanted('events.k8s.io', 'events', ['create', 'patch'], space),
    ]),
    ...wanted('coordination.k8s.io', 'leases', ['create'], systemNamespace),
    ...tenants.flatMap((space) => [
      ...wanted('', 'secrets', ['get', 'create'], space),
      ...wanted('', 'configmaps', ['get'], space),
    ]),
  ];
  const rights: Right[] = [];
  for (const one of all) {
    const right = await review(session, one, who);
    if (right.kind !== 'seen') return right;
    rights.push(right.value);
  }
  return { kind: 'seen', value: rights };
}

/** Of as many as one may ask about without being a load. */
const MAX_TENANTS = 20;

export function tenantsOf(tasks: Seen<CaptchaTask[]>): string[] {
  if (tasks.kind !== 'seen') return [];
  const naming = tasks.value.filter(
    ({ spec, status }) =>
      status?.completionTime === undefined &&
      [spec.apiKeySecretRef, spec.solutionSecretName, spec.proxy?.secretRef, bodyFromOf(spec.captcha)].some(Boolean),
  );
  return [...new Set(naming.map(({ metadata }) => metadata.namespace))].slice(0, MAX_TENANTS);
}

function bodyFromOf({ image, grid }: CaptchaTask['spec']['captcha']): object | undefined {
  return image?.bodyFrom ?? grid?.bodyFrom;
}

interface Who {
  user: string;
  groups: readonly string[];
}

async function review({ cluster, signal }: Session, { namespace, ...what }: Wanted, who?: Who): Promise<Seen<Right>> {
  const kind = who === undefined ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const resource = { group: 'authorization.k8s.io', version: 'v1', plural: `${kind.toLowerCase()}s` };
  const attributes = namespace === '' ? what : { ...what, namespace };
  const object = { apiVersion: 'authorization.k8s.io/v1', kind, spec: { ...who, resourceAttributes: attributes } };
  const reply: ApiReply = await cluster.kube.execute({ verb: 'create', resource, namespace: '', object }, { signal });
  if (!reply.ok) return { kind: [401, 403].includes(reply.status) ? 'hidden' : 'trouble', why: refusal(reply) };
  const { status } = reply.object as { status?: { allowed?: boolean } };
  const name = what.subresource === undefined ? what.resource : `${what.resource}/${what.subresource}`;
  return { kind: 'seen', value: { verb: what.verb, resource: name, namespace, allowed: status?.allowed === true } };
}
