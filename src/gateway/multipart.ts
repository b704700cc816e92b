/**
 * Reads a multipart form as its fields, with the uploaded image as the field `body` in base64. The image is encoded as it
 * comes, piece by piece: nobody ever holds its bytes whole, and what is over the bound is not kept at all. It knows one
 * upload (`file`, or `file_1`, as clients call the first of several); others are refused, as are fields that are too many.
 */
import type { IncomingMessage } from 'node:http';
import type { Busboy, BusboyFileStream } from '@fastify/busboy';
import type { Limits } from './limits.ts';

/** What is wrong with it: a word of the family and the reason. */
export interface UploadFault {
  word: string;
  text: string;
}

export interface MultipartOptions {
  limits: Pick<Limits, 'imageCharacters' | 'bodyBytes' | 'fields'>;
  /** Takes a field; false where it was there before, with another value. */
  add(name: string, value: string): boolean;
}

type Parser = InstanceType<typeof Busboy>;

/** Undefined when all fields were taken. Rejects when the client goes away. */
export async function readMultipart(
  request: IncomingMessage,
  options: MultipartOptions,
): Promise<UploadFault | undefined> {
  const parser = await parserFor(request, options.limits);
  if (request.destroyed) throw new Error('the client went away');
  return parser === undefined ? BROKEN : parse(request, parser, options);
}

function parse(
  request: IncomingMessage,
  parser: Parser,
  { limits, add }: MultipartOptions,
): Promise<UploadFault | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<UploadFault | undefined>();
  let fault: UploadFault | undefined;
  const take = (name: string, value: string, isCut: boolean): void => {
    if (isCut) fault ??= { word: 'ERROR_BAD_PARAMETERS', text: 'a field is too long' };
    else if (!add(name, value))
      fault ??= { word: 'ERROR_BAD_PARAMETERS', text: `${name}: given twice, with different values` };
  };
  parser.on('field', (name, value, nameCut, valueCut) => take(name, value, nameCut || valueCut));
  parser.on('file', (name, stream) => {
    // A body that ends inside an upload is an error of the upload, and of the parser afterwards.
    stream.on('error', () => resolve(BROKEN));
    if (!IMAGE_NAMES.includes(name)) {
      fault ??= { word: 'ERROR_BAD_PARAMETERS', text: `an upload has another name than ${IMAGE_NAMES.join(' or ')}` };
      stream.resume();
      return;
    }
    collectBase64(stream, limits.imageCharacters, (image) => {
      if (image === undefined) fault ??= { word: 'ERROR_TOO_BIG_CAPTCHA_FILESIZE', text: tooBig(limits) };
      else if (image === '') fault ??= { word: 'ERROR_ZERO_CAPTCHA_FILESIZE', text: 'file: empty' };
      else take('body', image, false);
    });
  });
  for (const limit of ['fieldsLimit', 'filesLimit', 'partsLimit'] as const) {
    parser.on(limit, () => {
      fault ??= { word: 'ERROR_BAD_PARAMETERS', text: `more than ${limits.fields} fields, or more than one file` };
    });
  }
  parser.once('finish', () => resolve(fault));
  parser.on('error', () => resolve(BROKEN));
  request.once('error', reject);
  request.once('close', () => {
    if (request.complete) return;
    reject(new Error('the client went away'));
    parser.destroy();
  });
  cutBeyond(request, limits);
  request.pipe(parser);
  return promise;
}

/** Who sends more than he may without having said how much it is. */
function cutBeyond(request: IncomingMessage, { bodyBytes }: Pick<Limits, 'bodyBytes'>): void {
  let size = 0;
  request.on('data', (chunk: Uint8Array) => {
    size += chunk.length;
    if (size > bodyBytes) request.destroy();
  });
}

const IMAGE_NAMES: readonly string[] = ['file', 'file_1'];

const BROKEN: UploadFault = { word: 'ERROR_UPLOAD', text: 'the multipart body cannot be read' };

export function tooBig({ imageCharacters }: Pick<Limits, 'imageCharacters'>): string {
  return `an image may have ${imageCharacters} characters of base64, ${Math.floor((imageCharacters * 3) / 4)} bytes`;
}

/** Loaded by the first upload: most gateways never see one. Undefined where the head names no boundary. */
async function parserFor(
  { headers }: IncomingMessage,
  limits: MultipartOptions['limits'],
): Promise<Parser | undefined> {
  const library = await import('@fastify/busboy');
  try {
    return new library.Busboy({
      headers: { ...headers, 'content-type': headers['content-type'] ?? '' },
      limits: { fieldNameSize: 128, fieldSize: limits.bodyBytes, fields: limits.fields, files: 1, headerPairs: 16 },
    });
  } catch {
    return undefined;
  }
}

/** Three bytes become four characters, so at most two bytes wait for the next piece. Undefined: longer than `most`. */
function collectBase64(stream: BusboyFileStream, most: number, done: (image: string | undefined) => void): void {
  let image: string | undefined = '';
  let rest: Buffer = Buffer.alloc(0);
  const add = (text: string): void => {
    if (image !== undefined) image = image.length + text.length > most ? undefined : image + text;
  };
  stream.on('data', (piece: Buffer) => {
    if (image === undefined) return;
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % 3);
    add(bytes.toString('base64', 0, whole));
    rest = Buffer.from(bytes.subarray(whole));
  });
  stream.once('end', () => {
    add(rest.toString('base64'));
    done(image);
  });
}
