/**
 * Reads what one submission needs beside the API key: the proxy's address and an image given by reference. Read when
 * it is the task's turn and forgotten after the call, so that waiting tasks hold no images in memory.
 */
import type { CaptchaTask, ImageSource, SecretKeyRef } from '../../api/captchatask.ts';
import type { Sources } from '../../core/task/memory.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type ValueRead, readConfigMapValue, readSecretValue } from './secrets.ts';

/** `user:pass@host:port` or `host:port`. */
const PROXY_ADDRESS = /^[^\s]{1,500}:\d{1,5}$/;

/** Undefined where the API server could not be asked. */
export async function readSources(
  client: Pick<KubeClient, 'execute'>,
  task: CaptchaTask,
  mono: number,
): Promise<Sources | undefined> {
  const { captcha, proxy } = task.spec;
  const from = captcha.image?.bodyFrom ?? captcha.grid?.bodyFrom;
  const { namespace } = task.metadata;
  const address = proxy === undefined ? undefined : await readProxy(client, namespace, proxy.secretRef);
  const image = from === undefined ? undefined : await readImage(client, namespace, from);
  const read = [address, image];
  if (read.some((one) => one?.kind === 'unavailable')) return undefined;
  const missing = read.find((one) => one?.kind === 'missing');
  if (missing !== undefined) return { state: 'missing', message: missing.message, readMono: mono };
  return { state: 'ready', proxyAddress: bytesOf(address)?.toString('utf8').trim(), image: bytesOf(image) };
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
