/**
 * The captcha methods of each dialect and the fields that each cannot do without, with the word for their absence.
 * `official` has what the provider's own client and reference name; `family` has that and what the clients of the
 * family send beside it. Facts only; `checks` applies them.
 *
 * Sources: the official client's registry and the reference (official), the parameter checks of the family's clients.
 */
import { field, type Fields } from './form.ts';
import type { Provider } from './switches.ts';

/** A field, and the word for its absence where it is not `ERROR_BAD_PARAMETERS`. */
type Required = string | readonly [field: string, code: string];

interface Method {
  /** Nothing can be solved without these. */
  required: readonly Required[];
  /** Called required by the documents, too. */
  strict?: readonly Required[];
}

const PAGE = ['pageurl', 'ERROR_PAGEURL'] as const;
const KEY = ['googlekey', 'ERROR_GOOGLEKEY'] as const;
const BODY = ['body', 'ERROR_UPLOAD'] as const;
const PROXY = ['proxy', 'proxytype'] as const;
const TILES = Array.from({ length: 9 }, (_, index) => `image_base64_${index + 1}`);

const OFFICIAL: Readonly<Record<string, Method>> = {
  post: { required: [['file', 'ERROR_UPLOAD']] },
  base64: { required: [BODY] },
  bls: { required: ['instructions', ...TILES] },
  userrecaptcha: { required: [KEY, PAGE] },
  turnstile: { required: ['sitekey', PAGE] },
  cloudflare_challenge: { required: [PAGE, ...PROXY] },
  geetest: { required: ['gt'], strict: [PAGE] },
  captchafox: { required: ['sitekey', PAGE], strict: PROXY },
  friendly_captcha: { required: ['sitekey', PAGE] },
  lemin: { required: ['captcha_id', PAGE], strict: ['div_id'] },
};

const page = (...required: Required[]): Method => ({ required: [...required, PAGE] });

/** Methods of the family beyond those; names and fields as its clients send them. */
const FAMILY: Readonly<Record<string, Method>> = {
  geetest_v4: page('captcha_id'),
  hcaptcha: page('sitekey'),
  funcaptcha: page('publickey'),
  keycaptcha: page('s_s_c_user_id', 's_s_c_session_id', 's_s_c_web_server_sign', 's_s_c_web_server_sign2'),
  capy: page('captchakey'),
  amazon_waf: page('sitekey', 'iv', 'context'),
  mt_captcha: page('sitekey'),
  cutcaptcha: page('misery_key'),
  tencent: page('app_id'),
  atb_captcha: page('app_id', 'api_server'),
  datadome: page('captcha_url', ...PROXY),
  cybersiara: page('master_url_id'),
  yandex: page('sitekey'),
  prosopo: page('sitekey'),
  altcha: page(),
  binance: page('sitekey', 'validate_id'),
  yidun: page('sitekey'),
  hunt: page('api_get_lib'),
  alibaba: page('scene_id', 'prefix'),
  tspd: page('tspd_cookie', 'html_page_base64', ...PROXY),
  basilisk: page('sitekey'),
  incapsula: page('incapsula_script_url', 'incapsula_cookies', ...PROXY),
  vkcaptcha: { required: ['redirect_uri', ...PROXY] },
  vkimage: { required: [BODY, 'steps'] },
  temuimage: { required: [BODY, 'part1', 'part2', 'part3'] },
  audio: { required: [BODY, 'lang'] },
  bounding_box: { required: ['image'] },
  rotatecaptcha: { required: [] },
  drag_drop: { required: [BODY, 'images'] },
};

/** Why the fields do not make a task of the dialect, or undefined. */
export function refuseFields(fields: Fields, { dialect, switches }: Provider): string | undefined {
  // A question in words is `method=post` without a file, or no method at all; only the family has it.
  if (dialect === 'family' && field(fields, 'textcaptcha') !== '') return undefined;
  const name = fields.get('method');
  if (name === undefined) return 'ERROR_BAD_PARAMETERS';
  const method = methodOf(name, { dialect, switches });
  if (method === undefined) return switches.unknownMethod === 'accept' ? undefined : switches.unknownMethod;
  const strict =
    switches.requiredFields === 'strict' ? [...(method.strict ?? []), ...strictOf(fields, { dialect, switches })] : [];
  const missing = [...method.required, ...strict].map(withCode).find(([wanted]) => field(fields, wanted) === '');
  if (missing !== undefined) return missing[1];
  return switches.requiredFields === 'strict' ? refuseGrid(fields) : undefined;
}

const withCode = (it: Required): readonly [string, string] =>
  typeof it === 'string' ? [it, 'ERROR_BAD_PARAMETERS'] : it;

function methodOf(name: string, { dialect, switches }: Provider): Method | undefined {
  if (name === 'geetest_v4') return switches.geetestV4 === 'method' ? FAMILY[name] : undefined;
  if (Object.hasOwn(OFFICIAL, name)) return OFFICIAL[name];
  return dialect === 'family' && Object.hasOwn(FAMILY, name) ? FAMILY[name] : undefined;
}

/** What a variant of a method needs beside its own fields. */
function strictOf(fields: Fields, { dialect, switches }: Provider): readonly Required[] {
  const method = field(fields, 'method');
  if (method === 'userrecaptcha' && fields.get('version') === 'v3' && dialect === 'official') return ['action'];
  const isV4 = fields.get('version') === '4' && switches.geetestV4 === 'version';
  if (method === 'geetest' && !isV4) return ['challenge'];
  return fields.has('img_type') && dialect === 'official' ? ['grid_size', 'instructions'] : [];
}

function refuseGrid(fields: Fields): string | undefined {
  const size = fields.get('grid_size');
  return size === undefined || /^(3x3|4x4)$/.test(size) ? undefined : 'ERROR_BAD_PARAMETERS';
}
