/**
 * The shapes the provider answers in: the reply envelope, JSON or plain, and a plausible result for every captcha
 * method, unique per task so that tests can tell results apart. Where sources disagree about a shape, a switch decides
 * (`switches.ts`). Shapes: provider-api.md sections 0 and 3.
 */
import { field, type Fields } from './form.ts';
import type { Provider, Switches } from './switches.ts';

export interface Result {
  /** As JSON replies have it. */
  request: unknown;
  /** As plain replies have it, where that is not the same text. */
  plain?: string;
  userAgent?: string;
}

export const SIMULATED_USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Simulated/1.0';

/** A result of the right shape for what was submitted. */
export function defaultResult(fields: Fields, id: string, provider: Provider): Result {
  const agent = boundToAgent(fields, provider) ? { userAgent: agentOf(fields) } : {};
  const shape = SHAPES[field(fields, 'method')] ?? token;
  return { ...agent, ...shape(fields, id, provider.switches) };
}

/** The agent that was asked for, by either name, or one of ours. */
const agentOf = (fields: Fields): string => fields.get('userAgent') ?? fields.get('useragent') ?? SIMULATED_USER_AGENT;

/** Enterprise variants, clearances and CaptchaFox tokens work with the agent they were solved with alone. */
function boundToAgent(fields: Fields, { dialect, switches }: Provider): boolean {
  if (switches.userAgent === 'absent') return false;
  const method = field(fields, 'method');
  // In the family Turnstile tells its agent, too.
  return answersInResult(fields) || method === 'captchafox' || (dialect === 'family' && method === 'turnstile');
}

/** The types whose answer stands in `result` (switch `answerField`). */
export function answersInResult(fields: Fields): boolean {
  return field(fields, 'method') === 'cloudflare_challenge' || fields.get('enterprise') === '1';
}

type Shape = (fields: Fields, id: string, switches: Switches) => Result;

const token: Shape = (_fields, id) => ({ request: `03token-${id}_AbC-dEf+gHi/jKl=` });

const picture: Shape = (fields, id, { gridTrigger, gridAnswer }) => {
  const byType = gridTrigger !== 'recaptcha' && fields.has('img_type');
  const byFlag = gridTrigger !== 'img_type' && fields.get('recaptcha') === '1';
  return byType || byFlag ? CELLS[gridAnswer] : { request: `text${id.slice(-6)}` };
};

const CELLS: Readonly<Record<Switches['gridAnswer'], Result>> = {
  jsonText: { request: '[1, 4, 7]' },
  array: { request: [1, 4, 7] },
  click: { request: 'click:1/4/7' },
  text: { request: 'ABC123' },
};

const geeTest: Shape = (fields, id, { geetest, geetestV4 }) =>
  fields.get('version') === '4' && geetestV4 === 'version'
    ? geeTestV4(fields, id, { geetest })
    : shaped(
        { challenge: field(fields, 'challenge'), validate: `validate${id}`, seccode: `validate${id}|jordan` },
        geetest,
      );

const geeTestV4 = (fields: Fields, id: string, { geetest }: Pick<Switches, 'geetest'>): Result => {
  const captcha_id = fields.get('captcha_id') ?? field(fields, 'gt');
  const others = { lot_number: `lot${id}`, pass_token: `pass${id}`, gen_time: '1700000000' };
  // The fields of version 4 have no prefix anywhere.
  const how = geetest === 'prefixed' ? 'object' : geetest;
  return shaped({ captcha_id, ...others, captcha_output: `output-${id}==` }, how);
};

function shaped(members: Record<string, string>, how: Switches['geetest']): Result {
  const plain = pairsOf(members);
  switch (how) {
    case 'object':
      return { request: members, plain };
    case 'prefixed': {
      const entries = Object.entries(members).map(([name, value]) => [`geetest_${name}`, value]);
      return { request: Object.fromEntries(entries), plain: JSON.stringify(Object.fromEntries(entries)) };
    }
    case 'pairs':
      return { request: plain };
    case 'jsonText':
    default:
      return { request: JSON.stringify(members), plain };
  }
}

const pairsOf = (members: object): string =>
  Object.entries(members)
    .map(([name, value]) => `${name}:${String(value)}`)
    .join(',');

const clearance: Shape = (fields, id, { challenge, userAgent }) => {
  const cookie = `clearance-${id}`;
  const agent = agentOf(fields);
  const plain = userAgent === 'absent' ? cookie : `cf_clearance=${cookie};user_agent=${agent}`;
  if (challenge === 'text') return { request: cookie, plain };
  const text = JSON.stringify({ cookies: { cf_clearance: cookie }, userAgent: agent });
  return { request: challenge === 'object' ? text : plain, plain };
};

const lemin: Shape = (_fields, id, switches) => {
  if (switches.lemin === 'token') return { request: `lemin-token-${id}` };
  const members = { answer: `0xabcx_${id}`, challenge_uuid: `uuid-${id}` };
  return { request: switches.lemin === 'object' ? members : JSON.stringify(members) };
};

const SHAPES: Readonly<Record<string, Shape>> = {
  base64: picture,
  post: picture,
  bls: () => ({ request: '[1, 4, 7, 8]' }),
  geetest: geeTest,
  geetest_v4: geeTestV4,
  cloudflare_challenge: clearance,
  captchafox: (_fields, id) => ({ request: `fox-token-${id}` }),
  lemin,
};

/** How replies are written: in JSON or not, and as the switches say. */
export interface Style {
  json: boolean;
  switches: Switches;
  /** Other words for the same refusals. */
  words?: Readonly<Record<string, string>> | undefined;
}

/** An answer of `in.php` or of an action. `rawRequest` is JSON text (an id may be an integer of any size). */
export function successText(style: Style, rawRequest: string): string {
  if (!style.json) return framed(style, `OK|${plainText(JSON.parse(rawRequest))}`);
  return framed(style, `{"status":${statusOf(style, 1)},"request":${rawRequest}}`);
}

/** The id of a task that was just accepted: digits, or an id of another kind (switch `ids`). */
export function acceptedText(style: Style, id: string): string {
  if (!style.json) return successText(style, JSON.stringify(id));
  const { ids } = style.switches;
  const raw = ids === 'string' || ids === 'uuid' ? JSON.stringify(id) : id;
  return framed(style, `{"status":${statusOf(style, 1)},"${ids === 'inResult' ? 'result' : 'request'}":${raw}}`);
}

/** A result, where the switches want it. */
export function resultText(style: Style, result: Result, inResult: boolean): string {
  if (!style.json) return framed(style, `OK|${result.plain ?? plainText(result.request)}`);
  const answer = JSON.stringify(result.request);
  const where = inResult ? style.switches.answerField : 'request';
  const members = {
    request: `"request":${answer}`,
    result: `"result":${answer}`,
    both: `"request":${answer},"result":${answer}`,
    emptyRequest: `"request":"","result":${answer}`,
  }[where];
  const { userAgent } = result;
  const agent = userAgent === undefined ? '' : `,"${style.switches.userAgentName}":${JSON.stringify(userAgent)}`;
  return framed(style, `{"status":${statusOf(style, 1)},${members}${agent}}`);
}

export function failureText(style: Style, usual: string): string {
  const code = style.words?.[usual] ?? usual;
  const plain = !style.json || (style.switches.bodies === 'plainWords' && code.startsWith('ERROR'));
  return framed(style, plain ? code : `{"status":${statusOf(style, 0)},"request":${JSON.stringify(code)}}`);
}

function statusOf({ switches }: Style, status: 0 | 1): string {
  if (switches.status === 'boolean') return String(status === 1);
  return switches.status === 'string' ? `"${status}"` : String(status);
}

export function framed({ switches }: Style, text: string): string {
  if (switches.bodies === 'bom') return `\uFEFF${text}`;
  return switches.bodies === 'newline' ? `\r\n${text}\n` : text;
}

/** How a result looks without JSON: objects as `name:value,…`, lists as JSON text. */
function plainText(request: unknown): string {
  if (typeof request === 'object' && request !== null && !Array.isArray(request)) return pairsOf(request);
  return typeof request === 'string' ? request : JSON.stringify(request);
}
