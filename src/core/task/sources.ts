/**
 * Reads what tasks name in Secrets and ConfigMaps: what one submission needs beside the API key (the proxy's address,
 * an image given by reference, and what the cache left out of a captcha), and, for the key ring, one value of a Secret.
 * It says in plain words what is missing where there is none, or what keeps a task from using it. Read when it is the
 * task's turn and forgotten after the call, so that waiting tasks hold no images in memory. Never watched, never listed;
 * the values go to the provider only.
 */
import type { Captcha, CaptchaTask, ImageSource, SecretKeyRef } from '../../api/captchatask.ts';
import type { ApiReply, Protocol, Resource } from '../protocol.ts';
import type { Sources } from './memory.ts';
import { CAPTCHA_TASK, CONFIG_MAP, PRIVATE_ANNOTATION, SECRET } from '../../api/names.ts';
import { isAbridged } from './packed.ts';

export type ValueRead =
  | { kind: 'found'; bytes: Buffer }
  /** A person must act; stable text for a condition. */
  | { kind: 'missing'; message: string }
  /** The API server was asked and cannot read it (it cannot decrypt it, say): the same, if it stays so. */
  | { kind: 'unreadable'; message: string }
  /** The API server could not be asked. */
  | { kind: 'unavailable' };

/** `user:pass@host:port` or `host:port`. */
const PROXY_ADDRESS = /^[^\s]{1,500}:\d{1,5}$/;
/** The Role that a tenant applies so that the operator may read its Secrets. */
const TENANT_ROLE = 'captcha-operator-tenant (deploy/tenant)';

const REFUSED_TYPES = /^(kubernetes\.io\/|bootstrap\.kubernetes\.io\/token$|helm\.sh\/)/;
const WHY = 'tasks may not name it, because what they name is sent to the provider.';

/** Whether a submission needs more than the cached spec and the key. */
export function needsSources({ spec }: CaptchaTask): boolean {
  const { captcha } = spec;
  const from = captcha.image?.bodyFrom ?? captcha.grid?.bodyFrom;
  return spec.proxy?.secretRef !== undefined || from !== undefined || isAbridged(captcha);
}

/** Undefined where the API server could not be asked, or the task is gone. */
export function* readSources(task: CaptchaTask, mono: number): Protocol<Sources | undefined> {
  const { captcha } = task.spec;
  const read = yield* readReferences(task);
  const [address, image] = read;
  if (read.some((one) => one?.kind === 'unavailable')) return undefined;
  const missing = read.find((one) => one?.kind === 'missing');
  if (missing !== undefined) return { state: 'missing', message: missing.message, readMono: mono };
  const unread = read.find((one) => one?.kind === 'unreadable');
  if (unread !== undefined) {
    return { state: 'missing', message: unread.message, readMono: mono, unreadSinceMono: mono };
  }
  const inputs = { proxyAddress: bytesOf(address)?.toString('utf8').trim(), image: bytesOf(image) };
  if (!isAbridged(captcha)) return { state: 'ready', ...inputs };
  const whole = yield* readCaptcha(task);
  return whole && { state: 'ready', ...inputs, captcha: whole };
}

/** The proxy's address and the image, each where it is kept elsewhere. */
function* readReferences({
  metadata: { namespace },
  spec: { captcha, proxy },
}: CaptchaTask): Protocol<[address: ValueRead | undefined, image: ValueRead | undefined]> {
  const from = captcha.image?.bodyFrom ?? captcha.grid?.bodyFrom;
  const ref = proxy?.secretRef;
  const address = ref && (yield* readProxy(namespace, ref));
  return [address, from && (yield* readImage(namespace, from))];
}

/** Undefined, too, where the name belongs to another task by now. */
function* readCaptcha({ metadata: { namespace, name, uid } }: CaptchaTask): Protocol<Captcha | undefined> {
  const reply = yield { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
  const read = reply.ok ? (reply.object as CaptchaTask) : undefined;
  return read?.metadata.uid === uid ? read.spec.captcha : undefined;
}

function bytesOf(read: ValueRead | undefined): Buffer | undefined {
  return read?.kind === 'found' ? read.bytes : undefined;
}

function* readProxy(namespace: string, ref: SecretKeyRef): Protocol<ValueRead> {
  const read = yield* readSecretValue(namespace, ref);
  if (read.kind !== 'found' || PROXY_ADDRESS.test(read.bytes.toString('utf8').trim())) return read;
  return { kind: 'missing', message: `Secret "${ref.name}" holds no proxy address like user:pass@host:port.` };
}

function* readImage(namespace: string, from: ImageSource): Protocol<ValueRead> {
  if (from.secretKeyRef !== undefined) return yield* readSecretValue(namespace, from.secretKeyRef);
  if (from.configMapKeyRef !== undefined) return yield* readConfigMapValue(namespace, from.configMapKeyRef);
  return { kind: 'missing', message: 'bodyFrom names no source.' };
}

interface KeyRef {
  name: string;
  key: string;
}

/** One value of one Secret, unless it is one that tasks may not name. */
export function* readSecretValue(namespace: string, ref: KeyRef): Protocol<ValueRead> {
  const read = yield* readData(SECRET, namespace, ref.name);
  if (read.kind !== 'read') return read;
  const refused = refusedReference(read.object);
  if (refused !== undefined) return { kind: 'missing', message: refused };
  return decoded(read.object.data?.[ref.key], `Secret "${ref.name}" has no key "${ref.key}", or it is empty.`);
}

/**
 * Why tasks may not name this Secret: stable text for a condition. Undefined where they may. Whoever may create tasks
 * need not be allowed to read Secrets, and the content of what a task names goes to the provider: so identities,
 * certificates, releases and what its owner keeps private are refused, by what the Secret says of itself.
 */
export function refusedReference({ type = '', metadata }: Pick<DataObject, 'type' | 'metadata'>): string | undefined {
  const { name, annotations = {} } = metadata;
  if (REFUSED_TYPES.test(type)) return `Secret "${name}" is of type ${type.slice(0, 100)}: ${WHY}`;
  if (PRIVATE_ANNOTATION in annotations) return `Secret "${name}" is annotated ${PRIVATE_ANNOTATION}: ${WHY}`;
  return undefined;
}

/** `binaryData` of a ConfigMap, or, for images that are text anyway, its `data`. */
function* readConfigMapValue(namespace: string, ref: KeyRef): Protocol<ValueRead> {
  const read = yield* readData(CONFIG_MAP, namespace, ref.name);
  if (read.kind !== 'read') return read;
  const text = read.object.data?.[ref.key];
  if (text !== undefined && text !== '') return { kind: 'found', bytes: Buffer.from(text) };
  return decoded(read.object.binaryData?.[ref.key], `ConfigMap "${ref.name}" has no key "${ref.key}", or it is empty.`);
}

interface DataObject {
  type?: string;
  metadata: { name: string; annotations?: Record<string, string> };
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

type NoValue = Exclude<ValueRead, { kind: 'found' }>;

function* readData(
  resource: Resource & { kind: string },
  namespace: string,
  name: string,
): Protocol<{ kind: 'read'; object: DataObject } | NoValue> {
  const reply = yield { verb: 'get', resource, namespace, name, read: 'quorum' };
  if (reply.ok) return { kind: 'read', object: reply.object as DataObject };
  return failureRead(reply, `${resource.kind} "${name}"`);
}

function failureRead(failure: Extract<ApiReply, { ok: false }>, what: string): NoValue {
  if (failure.status === 404 && !failure.transient) return { kind: 'missing', message: `${what} does not exist.` };
  if (failure.status === 403) {
    const message = `The operator may not read ${what}; apply the Role ${TENANT_ROLE} in this namespace.`;
    return { kind: 'missing', message };
  }
  const answered = failure.status !== 0 && failure.status !== 429;
  return answered ? { kind: 'unreadable', message: `${what} cannot be read.` } : { kind: 'unavailable' };
}

function decoded(base64: string | undefined, otherwise: string): ValueRead {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return bytes.length === 0 ? { kind: 'missing', message: otherwise } : { kind: 'found', bytes };
}
