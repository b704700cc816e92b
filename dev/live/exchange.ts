/**
 * One call to a provider, as bytes: the questions of `npm run live` are about shapes, so nothing here understands or
 * repairs a reply. Never rejects; a broken connection is a reply with a fault. Follows no redirect.
 */

export type Encoding = 'query' | 'form' | 'multipart';

export interface Call {
  /** `in.php` or `res.php`. */
  path: string;
  verb: 'GET' | 'POST';
  encoding: Encoding;
  fields: Readonly<Record<string, string>>;
  /** Fields that stand in the URL although the others are in the body. */
  query?: Readonly<Record<string, string>>;
  /** An upload, for multipart. */
  file?: Uint8Array<ArrayBuffer>;
}

export interface Reply {
  /** 0 where no reply came. */
  status: number;
  type: string;
  text: string;
  fault?: 'timeout' | 'network' | 'tooLarge';
  tookMs: number;
}

const MAX_BYTES = 262_144;

export async function exchange(baseUrl: string, call: Call, timeoutMs: number): Promise<Reply> {
  const startedMs = performance.now();
  const reply = await send(baseUrl, call, timeoutMs).catch((error: unknown) => brokenReply(error));
  return { ...reply, tookMs: Math.round(performance.now() - startedMs) };
}

type Untimed = Omit<Reply, 'tookMs'>;

async function send(baseUrl: string, call: Call, timeoutMs: number): Promise<Untimed> {
  const url = new URL(call.path, baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`);
  const inUrl = call.encoding === 'query' ? { ...call.query, ...call.fields } : (call.query ?? {});
  for (const [name, value] of Object.entries(inUrl)) url.searchParams.set(name, value);
  const body = bodyOf(call);
  const response = await fetch(url, {
    method: call.verb,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body }),
  });
  const { text, whole } = await readText(response);
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, type, text, ...(whole ? {} : { fault: 'tooLarge' as const }) };
}

function bodyOf({ encoding, fields, file }: Call): URLSearchParams | FormData | undefined {
  if (encoding === 'query') return undefined;
  if (encoding === 'form') return new URLSearchParams(fields);
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  if (file !== undefined) form.append('file', new Blob([file], { type: 'image/png' }), 'captcha.png');
  return form;
}

async function readText(response: Response): Promise<{ text: string; whole: boolean }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    chunks.push(part);
    bytes += part.length;
    if (bytes > MAX_BYTES) {
      return { text: Buffer.concat(chunks).toString('utf8', 0, MAX_BYTES), whole: false };
    }
  }
  return { text: Buffer.concat(chunks).toString('utf8'), whole: true };
}

function brokenReply(error: unknown): Untimed {
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  return { status: 0, type: '', text: '', fault: timedOut ? 'timeout' : 'network' };
}
