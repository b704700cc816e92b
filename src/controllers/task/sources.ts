/**
 * Reads what one submission needs beside the API key: the proxy's address, an image given by reference, and what the
 * cache left out of a captcha (images in the task itself among it). Read when it is the task's turn and forgotten
 * after the call, so that waiting tasks hold no images in memory.
 */
import type { Captcha, CaptchaTask, ImageSource, SecretKeyRef } from '../../api/captchatask.ts';
import type { Sources } from '../../core/task/memory.ts';
import type { KubeClient } from '../../kube/client.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { isAbridged } from '../../core/task/packed.ts';
import { type ValueRead, readConfigMapValue, readSecretValue } from './secrets.ts';

/** `user:pass@host:port` or `host:port`. */
const PROXY_ADDRESS = /^[^\s]{1,500}:\d{1,5}$/;

/** Undefined where the API server could not be asked, or the task is gone. */
export async function readSources(
  client: Pick<KubeClient, 'execute'>,
  task: CaptchaTask,
  mono: number,
): Promise<Sources | undefined> {
  const { captcha } = task.spec;
  const [address, image] = await readReferences(client, task);
  const read = [address, image];
  if (read.some((one) => one?.kind === 'unavailable')) return undefined;
  const missing = read.find((one) => one?.kind === 'missing');
  if (missing !== undefined) return { state: 'missing', message: missing.message, readMono: mono };
  const unread = read.find((one) => one?.kind === 'unreadable');
  if (unread !== undefined) {
    return { state: 'missing', message: unread.message, readMono: mono, unreadSinceMono: mono };
  }
  const inputs = { proxyAddress: bytesOf(address)?.toString('utf8').trim(), image: bytesOf(image) };
  if (!isAbridged(captcha)) return { state: 'ready', ...inputs };
  const whole = await readCaptcha(client, task);
  return whole && { state: 'ready', ...inputs, captcha: whole };
}

/** The proxy's address and the image, each where it is kept elsewhere. */
async function readReferences(
  client: Pick<KubeClient, 'execute'>,
  { metadata: { namespace }, spec: { captcha, proxy } }: CaptchaTask,
): Promise<[address: ValueRead | undefined, image: ValueRead | undefined]> {
  const from = captcha.image?.bodyFrom ?? captcha.grid?.bodyFrom;
  const ref = proxy?.secretRef;
  const address = ref === undefined ? undefined : await readProxy(client, namespace, ref);
  return [address, from === undefined ? undefined : await readImage(client, namespace, from)];
}

/** Undefined, too, where the name belongs to another task by now. */
async function readCaptcha(client: Pick<KubeClient, 'execute'>, task: CaptchaTask): Promise<Captcha | undefined> {
  const { namespace, name, uid } = task.metadata;
  const reply = await client.execute({ verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' });
  const read = reply.ok ? (reply.object as CaptchaTask) : undefined;
  return read?.metadata.uid === uid ? read.spec.captcha : undefined;
}

function bytesOf(read: ValueRead | undefined): Buffer | undefined {
  return read?.kind === 'found' ? read.bytes : undefined;
}

async function readProxy(
  client: Pick<KubeClient, 'execute'>,
  namespace: string,
  ref: SecretKeyRef,
): Promise<ValueRead> {
  const read = await readSecretValue(client, namespace, ref);
  if (read.kind !== 'found' || PROXY_ADDRESS.test(read.bytes.toString('utf8').trim())) return read;
  return { kind: 'missing', message: `Secret "${ref.name}" holds no proxy address like user:pass@host:port.` };
}

async function readImage(
  client: Pick<KubeClient, 'execute'>,
  namespace: string,
  from: ImageSource,
): Promise<ValueRead> {
  if (from.secretKeyRef !== undefined) return readSecretValue(client, namespace, from.secretKeyRef);
  if (from.configMapKeyRef !== undefined) return readConfigMapValue(client, namespace, from.configMapKeyRef);
  return { kind: 'missing', message: 'bodyFrom names no source.' };
}
