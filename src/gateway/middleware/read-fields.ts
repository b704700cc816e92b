/**
 * Reads what a client says, wherever it says it: in the query, in a form, in a multipart form, in JSON. A field that is
 * there twice must say the same. Bodies are bounded, each and all together, and compressed ones refused: a few hundred
 * bytes could unfold to any size. What is too large closes the connection, because what follows was never read.
 */
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { collectBody } from '../../ops/request-body.ts';
import type { Limits } from '../limits.ts';
import { readMultipart, tooBig, type UploadFault } from '../multipart.ts';
import { answerWord, type GatewayState } from '../state.ts';

type Add = (name: string, value: string) => boolean;

export function readFields(limits: Limits): Middleware<GatewayState> {
  const takeRoom = createRoom(limits.bodiesBytes);
  return async (ctx, next) => {
    const fields = new Map<string, string>();
    const add: Add = (name, value) => {
      const before = fields.get(name);
      if (before === undefined) fields.set(name, value);
      return before === undefined || before === value;
    };
    ctx.state.fields = fields;
    const length = hasBody(ctx.req) ? Math.min(announced(ctx.req) ?? limits.bodyBytes, limits.bodyBytes) : 0;
    const leaveRoom = takeRoom(ctx.req, length);
    if (leaveRoom === undefined) {
      ctx.set('Connection', 'close');
      return answerWord(ctx, 'ERROR_NO_SLOT_AVAILABLE', 'error', 'too many large requests at once');
    }
    let fault: UploadFault | undefined;
    try {
      const inQuery = addQuery(ctx.req, add);
      fault = (hasBody(ctx.req) ? await readBody(ctx.req, limits, add) : undefined) ?? inQuery;
    } finally {
      leaveRoom();
    }
    if (fault === undefined && fields.size > limits.fields) fault = bad(`more than ${limits.fields} fields`);
    if (fault === undefined) return next();
    if (!ctx.req.complete) ctx.set('Connection', 'close');
    return answerWord(ctx, fault.word, 'refused', fault.text);
  };
}

/** Room for so many bytes of all who send; one address has half of it, however slowly it sends. */
function createRoom(size: number) {
  const held = new Map<string, number>();
  let all = 0;
  return ({ socket: { remoteAddress: address = '' } }: IncomingMessage, bytes: number): (() => void) | undefined => {
    const own = held.get(address) ?? 0;
    if (bytes > 0 && (all + bytes > size || own + bytes > size / 2)) return undefined;
    all += bytes;
    held.set(address, own + bytes);
    return () => {
      all -= bytes;
      const left = (held.get(address) ?? 0) - bytes;
      if (left > 0) held.set(address, left);
      else held.delete(address);
    };
  };
}

function bad(text: string): UploadFault {
  return { word: 'ERROR_BAD_PARAMETERS', text };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

function announced({ headers }: IncomingMessage): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}

function addQuery({ url = '' }: IncomingMessage, add: Add): UploadFault | undefined {
  const question = url.indexOf('?');
  return question === -1 ? undefined : addAll(new URLSearchParams(url.slice(question + 1)), add);
}

function addAll(pairs: Iterable<readonly [string, string]>, add: Add): UploadFault | undefined {
  // All of them, whatever one is like: among the others is how the client wants to be answered.
  const [twice] = [...pairs].filter(([name, value]) => !add(name, value));
  return twice === undefined ? undefined : bad(`${twice[0].slice(0, 64)}: given twice, with different values`);
}

async function readBody(request: IncomingMessage, limits: Limits, add: Add): Promise<UploadFault | undefined> {
  const coding = request.headers['content-encoding'] ?? 'identity';
  if (coding !== 'identity') return bad('a compressed body');
  const type = request.headers['content-type'] ?? '';
  const tooLarge: UploadFault = { word: 'ERROR_TOO_BIG_CAPTCHA_FILESIZE', text: tooBig(limits) };
  if ((announced(request) ?? 0) > limits.bodyBytes) return tooLarge;
  if (/^multipart\/form-data\b/i.test(type)) return readMultipart(request, { limits, add });
  const body = await collectBody(request, limits.bodyBytes);
  if (body === undefined) return tooLarge;
  const text = Buffer.from(body).toString('utf8');
  return /\bjson\b/i.test(type) ? addJSON(text, add) : addAll(new URLSearchParams(text), add);
}

/** The members of an object: texts as they are, everything else as JSON. */
function addJSON(text: string, add: Add): UploadFault | undefined {
  let members: unknown;
  try {
    members = JSON.parse(text);
  } catch {
    members = undefined;
  }
  if (typeof members !== 'object' || members === null) return bad('the body is not a JSON object');
  const set = Object.entries(members).filter(([, value]) => value !== null);
  return addAll(
    set.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const),
    add,
  );
}
