/**
 * Compares what our encoder sends with what client libraries of the protocol send for the same task (recorded by
 * `test/clients/record.ts`), and says why each difference that is left is right. A difference without a reason, and a
 * reason without a difference, fail `test/contract/provider-clients.test.ts`.
 */
import { encodeSubmission } from '../src/provider/encode.ts';
import type { Call } from '../test/clients/calls.ts';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA } from '../test/clients/calls.ts';
import { recordedBodies, type RecordedBody } from '../test/clients/record.ts';
import { CLIENTS, type ClientName } from '../test/clients/run.ts';
import { KEY, PROXY_ADDRESS } from '../test/clients/values.ts';

export interface Difference {
  client: ClientName;
  type: string;
  field: string;
  /** What each side sends; undefined: it does not send the field. */
  ours: string | undefined;
  theirs: string | undefined;
}

const CALLS: Readonly<Record<ClientName, readonly Call[]>> = {
  captchaai: OFFICIAL,
  '2captcha-python': TWOCAPTCHA('captcha.gif'),
  'solvecaptcha-python': SOLVECAPTCHA('captcha.gif'),
  '@2captcha/captcha-solver': NPM,
};

export interface Compared {
  client: ClientName;
  type: string;
  body: RecordedBody;
  differences: Difference[];
}

/** Every recorded body beside ours. */
export function compareBodies(): Compared[] {
  const recorded = recordedBodies();
  return CLIENTS.flatMap((client) =>
    Object.entries(recorded[client]).map(([type, body]) => {
      const ours = ourFields(client, type);
      const names = [...new Set([...Object.keys(ours), ...Object.keys(body.fields)])].toSorted();
      const differing = names.filter((name) => ours[name] !== body.fields[name]);
      const differences = differing.map((field) => ({
        client,
        type,
        field,
        ours: ours[field],
        theirs: body.fields[field],
      }));
      return { client, type, body, differences };
    }),
  );
}

/** The types that a client has and we do not: only `Custom` can ask for them. */
export function typesOfTheirs(client: ClientName): string[] {
  return CALLS[client].filter(({ spec }) => spec === undefined).map(({ name }) => name);
}

function ourFields(client: ClientName, type: string): Record<string, string> {
  const call = CALLS[client].find(({ name }) => name === type);
  if (call?.spec === undefined) throw new Error(`${client}: ${type} is recorded, but no call has it`);
  const proxy = call.proxy === undefined ? {} : { proxy: { type: 'HTTP', address: PROXY_ADDRESS } };
  const form = encodeSubmission({ apiKey: KEY, spec: call.spec, ...proxy });
  const fields = Object.fromEntries(new URLSearchParams(form));
  delete fields['key'];
  return fields;
}

interface Reason {
  field: string;
  client?: ClientName;
  type?: string;
  because: string;
}

/** The first that fits counts. */
const REASONS: readonly Reason[] = [
  {
    field: 'caseSensitive',
    client: 'captchaai',
    because: 'The reference and the guide call it `regsense`, as we do; no other client sends that name.',
  },
  { field: 'regsense', client: 'captchaai', because: 'As `caseSensitive`: the documented name.' },
  ...['recaptcha', 'recaptcharows', 'recaptchacols', 'textinstructions'].map((field) => ({
    field,
    client: 'captchaai' as const,
    type: 'Grid',
    because:
      'The provider’s older examples ask for a grid by these; we send both sets, and each side ignores the other.',
  })),
  ...['img_type', 'grid_size', 'instructions'].map((field) => ({
    field,
    type: 'Grid',
    because: 'The provider’s own names for a grid, which the family does not have; we send both sets.',
  })),
  {
    field: 'json',
    because: 'We read plain replies, too, but an answer’s user agent comes in JSON alone.',
  },
  { field: 'soft_id', because: 'The id of the library’s author, who is paid by it; nobody is paid by ours.' },
  { field: 'header_acao', because: 'For browsers, which need `Access-Control-Allow-Origin`.' },
  { field: 'enterprise', because: '`0` is the default; we leave out what is not set.' },
  ...['reCAPTCHA v2', 'reCAPTCHA v2 with everything', 'reCAPTCHA v2 Enterprise'].map((type) => ({
    field: 'version',
    type,
    because: '`v2` is the default; the provider’s own client does not send it.',
  })),
  {
    field: 'useragent',
    because: 'The family’s name; the provider’s own client sends `userAgent`.',
  },
  { field: 'userAgent', because: 'The provider’s own name for it.' },
  { field: 'api_server', type: 'Lemin', because: 'The family’s name; the provider’s own client sends `apiServer`.' },
  { field: 'apiServer', type: 'Lemin', because: 'The provider’s own name for it.' },
  ...['method', 'captcha_id', 'gt', 'version'].map((field) => ({
    field,
    type: 'GeeTest v4',
    because:
      'The family has a method of its own for it. The provider’s only text about v4 is an example that asks by `geetest` with `version=4`, so that is what we send; its own client has no v4. Experimental.',
  })),
];

export function reasonFor(difference: Difference): Reason | undefined {
  return REASONS.find(
    ({ field, client, type }) =>
      field === difference.field &&
      (client === undefined || client === difference.client) &&
      (type === undefined || type === difference.type),
  );
}

export function unusedReasons(): Reason[] {
  const used = new Set(compareBodies().flatMap(({ differences }) => differences.map(reasonFor)));
  return REASONS.filter((reason) => !used.has(reason));
}
