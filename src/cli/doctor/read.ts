/**
 * Reads what `doctor` judges, each thing by itself: what the caller may not see, or what is not there, is an answer like
 * any other. Of Secrets it asks for the metadata only, so that no value comes to this machine. It changes nothing.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { DeadLetter } from '../../api/deadletter.ts';
import { CAPTCHA_TASK, DEAD_LETTER, PRIVATE_ANNOTATION, SECRET } from '../../api/names.ts';
import type { ApiFailure, Resource } from '../../kube/types.ts';
import { listAll } from '../list.ts';
import { refusal, type Session } from '../session.ts';
import type {
  CallbackAnswer,
  Container,
  Definition,
  Deployment,
  Facts,
  LeaseObject,
  Pod,
  SecretFacts,
  Seen,
} from './facts.ts';
import { mineOf, operatorsOf, tenantsOf } from './rights.ts';

const NAME = 'captcha-operator';
const GATEWAY = 'captcha-gateway';
const DEFINITIONS: Resource = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' };
const DEPLOYMENTS: Resource = { group: 'apps', version: 'v1', plural: 'deployments' };
const STATEFUL_SETS: Resource = { group: 'apps', version: 'v1', plural: 'statefulsets' };
const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps' };

/** Why the cluster cannot be looked at, as a text, or what there is. */
export async function readFacts(session: Session): Promise<Facts | string> {
  const { values, namespace: own } = session;
  const systemNamespace = String(values['system-namespace'] ?? 'captcha-system');
  const namespace = values['all-namespaces'] === true ? undefined : own;
  const deployment = await operatorOf(session, systemNamespace);
  if (deployment.kind === 'trouble') return deployment.why;
  const settings = await settingsOf(session, deployment, systemNamespace);
  const watched = settings.kind === 'seen' ? (settings.value['WATCH_NAMESPACES'] ?? '') : '';
  const tasks = await listSeen<CaptchaTask>(session, CAPTCHA_TASK, { namespace });
  const operator = { deployment, systemNamespace, watched, tenants: tenantsOf(tasks) };
  const pods = { namespace: systemNamespace, labelSelector: `app.kubernetes.io/name in (${NAME},${GATEWAY})` };
  const secret = (volume: string, fallback: string) =>
    secretOf(session, systemNamespace, secretNameOf(deployment, volume) ?? fallback);
  const looked = { systemNamespace, namespace, deployment, settings, tasks };
  return {
    ...looked,
    definitions: {
      captchatasks: await definition(session, CAPTCHA_TASK.plural),
      deadletters: await definition(session, DEAD_LETTER.plural),
    },
    gateway: await deploymentOf(session, systemNamespace, GATEWAY),
    pods: await listSeen<Pod>(session, PODS, pods),
    lease: await leaseOf(session, settings, systemNamespace),
    letters: await listSeen<DeadLetter>(session, DEAD_LETTER, { namespace }),
    mine: await mineOf(session, namespace),
    operators: await operatorsOf(session, operator),
    callbackKeys: await secret('callback-keys', 'captcha-operator-callback-keys'),
    providerKey: await secret('provider', 'captcha-operator-provider'),
    gatewayKeys: await secretOf(session, systemNamespace, 'captcha-gateway-keys'),
    callback: await callbackOf(session, settings),
  };
}

/** The overlay durable-spool has a StatefulSet in the Deployment's place. */
async function operatorOf(session: Session, namespace: string): Promise<Seen<Deployment>> {
  const deployment = await deploymentOf(session, namespace, NAME);
  if (deployment.kind !== 'absent') return deployment;
  return read(session, { verb: 'get', resource: STATEFUL_SETS, namespace, name: NAME, read: 'quorum' });
}

function deploymentOf(session: Session, namespace: string, name: string): Promise<Seen<Deployment>> {
  return read(session, { verb: 'get', resource: DEPLOYMENTS, namespace, name, read: 'quorum' });
}

type GetRequest = Extract<Parameters<Session['cluster']['kube']['execute']>[0], { verb: 'get' }>;

async function read<T>({ cluster, signal }: Session, request: GetRequest): Promise<Seen<T>> {
  const reply = await cluster.kube.execute(request, { signal });
  return reply.ok ? { kind: 'seen', value: reply.object as T } : unseen(reply);
}

function unseen(failure: ApiFailure): Seen<never> {
  if (failure.status === 404) return { kind: 'absent' };
  return { kind: [401, 403].includes(failure.status) ? 'hidden' : 'trouble', why: refusal(failure) };
}

function definition(session: Session, plural: string): Promise<Seen<Definition>> {
  const name = `${plural}.${CAPTCHA_TASK.group}`;
  return read(session, { verb: 'get', resource: DEFINITIONS, namespace: '', name, read: 'quorum' });
}

async function listSeen<T>(
  { cluster, signal }: Session,
  resource: Resource,
  selection: { namespace: string | undefined; labelSelector?: string },
): Promise<Seen<T[]>> {
  const found = await listAll<T>(cluster, resource, { ...selection, signal });
  return found.ok ? { kind: 'seen', value: found.items } : unseen(found);
}

function leaseOf(session: Session, settings: Facts['settings'], namespace: string): Promise<Seen<LeaseObject>> {
  const name = (settings.kind === 'seen' ? settings.value['LEASE_NAME'] : undefined) ?? NAME;
  return read(session, { verb: 'get', resource: LEASES, namespace, name, read: 'quorum' });
}

function containersOf(deployment: Seen<Deployment>): Container[] {
  return deployment.kind === 'seen' ? deployment.value.spec.template.spec.containers : [];
}

function secretNameOf(deployment: Seen<Deployment>, volume: string): string | undefined {
  if (deployment.kind !== 'seen') return undefined;
  return deployment.value.spec.template.spec.volumes?.find(({ name }) => name === volume)?.secret?.secretName;
}

/** What stands in the ConfigMaps that the containers take their environment from, and over it what they say themselves. */
async function settingsOf(
  session: Session,
  deployment: Seen<Deployment>,
  namespace: string,
): Promise<Facts['settings']> {
  if (deployment.kind !== 'seen') return deployment;
  const containers = containersOf(deployment);
  const names = new Set(
    containers.flatMap(({ envFrom = [] }) => envFrom.flatMap((one) => one.configMapRef?.name ?? [])),
  );
  let settings: Record<string, string> = {};
  for (const name of names) {
    const map = await read<{ data?: Record<string, string> }>(session, {
      verb: 'get',
      resource: CONFIG_MAPS,
      namespace,
      name,
      read: 'quorum',
    });
    if (map.kind !== 'seen') return map;
    settings = { ...settings, ...map.value.data };
  }
  const own = containers.flatMap(({ env = [] }) =>
    env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])),
  );
  return { kind: 'seen', value: { ...settings, ...Object.fromEntries(own) } };
}

interface SecretMetadata {
  metadata: {
    annotations?: Record<string, string>;
    managedFields?: { fieldsV1?: { 'f:data'?: Record<string, unknown> } }[];
  };
}

/** Which entries a Secret has is written in its managed fields, without their values. */
async function secretOf(session: Session, namespace: string, name: string): Promise<Seen<SecretFacts>> {
  const request = { verb: 'get', resource: SECRET, namespace, name, read: 'quorum', metadataOnly: true } as const;
  const secret = await read<SecretMetadata>(session, request);
  if (secret.kind !== 'seen') return secret;
  const { annotations = {}, managedFields } = secret.value.metadata;
  const fields = managedFields?.flatMap(({ fieldsV1 }) => Object.keys(fieldsV1?.['f:data'] ?? {}));
  const keys = fields?.filter((field) => field.startsWith('f:')).map((field) => field.slice('f:'.length));
  return { kind: 'seen', value: { isPrivate: PRIVATE_ANNOTATION in annotations, keys } };
}

/** Below the address that callbacks come to; nobody minted this token. */
const PROBE = '/v1/callback/kubectl-captcha-doctor';
const CALLBACK_TIMEOUT_MS = 5_000;

async function callbackOf({ values, signal }: Session, settings: Facts['settings']): Promise<Seen<CallbackAnswer>> {
  const url = settings.kind === 'seen' ? settings.value['CALLBACK_URL'] : undefined;
  if (url === undefined || url === '' || values['skip-callback'] === true) return { kind: 'absent' };
  try {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(CALLBACK_TIMEOUT_MS)]);
    const answer = await fetch(`${url.replace(/\/$/, '')}${PROBE}`, { redirect: 'manual', signal: limits });
    const body = await answer.text();
    return { kind: 'seen', value: { status: answer.status, hasBody: body !== '' } };
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string } };
    return { kind: 'trouble', why: cause?.code ?? name };
  }
}
