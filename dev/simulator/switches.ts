/**
 * Where sources about the provider disagree, the simulator has a switch: one row each, with the values it may take, the
 * one that each dialect starts with, and what backs it. `docs/simulator.md` is generated from this table. What belongs
 * to one account (threads in use elsewhere, a dead plan) is set with `control.account`; the page lists that too.
 *
 * `official` is CaptchaAI as its own client and its reference have it; `family` is the protocol as 2Captcha and its
 * clones speak it. Adds no behaviour of its own: `answers`, `checks`, `threads`, `pingback` and `result` read it.
 */

export const DIALECTS = ['official', 'family'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** Where a fact comes from; the letters are explained on the page. */
type Source = 'client' | 'guide' | 'reference' | 'blog' | 'examples' | 'family' | 'guess';

interface Switch {
  values: readonly string[];
  official: string;
  family: string;
  means: string;
  sources: readonly Source[];
}

export const SWITCHES = {
  answerField: {
    values: ['result', 'request', 'both', 'emptyRequest'],
    official: 'result',
    family: 'request',
    means:
      'Where Enterprise and Challenge answers stand: in `result`, in `request`, in both, or in `result` beside an empty `request`. All others stand in `request`.',
    sources: ['client', 'guide', 'examples'],
  },
  userAgent: {
    values: ['beside', 'absent', 'callback'],
    official: 'beside',
    family: 'beside',
    means:
      'The user agent that Enterprise, Challenge and CaptchaFox answers are bound to: beside the answer, nowhere, or also as a field of the callback.',
    sources: ['client', 'guide', 'guess'],
  },
  userAgentName: {
    values: ['user_agent', 'userAgent', 'useragent'],
    official: 'user_agent',
    family: 'useragent',
    means: 'The name of that field.',
    sources: ['client', 'family'],
  },
  threadsinfo: {
    values: ['topLevel', 'nested', 'strings', 'noStatus', 'zero', 'unsupported'],
    official: 'topLevel',
    family: 'unsupported',
    means:
      'The envelope of the thread counts: beside `status`, inside `request`, as strings, without `status`, always zero, or no such action.',
    sources: ['client', 'family'],
  },
  poolFull: {
    values: ['ERROR_ZERO_BALANCE', 'ERROR_NO_SLOT_AVAILABLE', 'queue'],
    official: 'ERROR_ZERO_BALANCE',
    family: 'ERROR_NO_SLOT_AVAILABLE',
    means:
      'What a submission meets when all threads are busy: a refusing word, or it is accepted and waits silently for a thread.',
    sources: ['reference', 'blog', 'client'],
  },
  pingback: {
    values: ['works', 'ignored', 'refused', 'registered', 'registeredSilently'],
    official: 'works',
    family: 'works',
    means:
      'Whether callbacks come: always, never, the submission is refused for naming one, refused unless its host is registered, or silently not sent unless registered.',
    sources: ['blog', 'family', 'guess'],
  },
  pingbackRefusal: {
    values: ['ERROR_IP_ADDRES', 'ERROR_PINGBACK', 'ERROR_BAD_PARAMETERS'],
    official: 'ERROR_IP_ADDRES',
    family: 'ERROR_IP_ADDRES',
    means: 'The word of that refusal, and of a registration whose ownership file is missing.',
    sources: ['family', 'guess'],
  },
  pingbackVerb: {
    values: ['GET', 'FORM', 'JSON', 'MULTIPART'],
    official: 'GET',
    family: 'FORM',
    means: 'How a callback comes where its script does not say.',
    sources: ['blog', 'family', 'guess'],
  },
  ownershipFile: {
    values: ['none', '/2captcha.txt', '/captchaai.txt'],
    official: 'none',
    family: '/2captcha.txt',
    means:
      'The file that must hold the account’s code at the root of a host before `add_pingback` registers it. The vendor’s own name is unknown.',
    sources: ['family', 'guess'],
  },
  gridTrigger: {
    values: ['img_type', 'recaptcha', 'either'],
    official: 'img_type',
    family: 'recaptcha',
    means:
      'What makes an image a grid: `img_type` with `grid_size` and `instructions`, `recaptcha=1`, or either. Without it the answer is text.',
    sources: ['client', 'guide', 'examples', 'family'],
  },
  gridAnswer: {
    values: ['jsonText', 'array', 'click', 'text'],
    official: 'jsonText',
    family: 'click',
    means: 'The cells as JSON text, as a JSON array, as `click:1/4/7`, or, useless, as recognised text.',
    sources: ['client', 'guide', 'family'],
  },
  geetest: {
    values: ['jsonText', 'object', 'pairs', 'prefixed'],
    official: 'jsonText',
    family: 'prefixed',
    means: 'GeeTest’s fields as JSON text, an object, `name:value,…`, or an object whose names begin with `geetest_`.',
    sources: ['client', 'guide', 'blog', 'family'],
  },
  geetestV4: {
    values: ['version', 'method', 'unsupported'],
    official: 'version',
    family: 'method',
    means:
      'How GeeTest v4 is asked for: `geetest` with `version=4`, `geetest_v4` with `captcha_id`, or not at all, as in the official client.',
    sources: ['examples', 'family', 'client'],
  },
  challenge: {
    values: ['text', 'object', 'pairs'],
    official: 'text',
    family: 'text',
    means:
      'A clearance as the cookie’s text, as JSON text with cookies and agent, or as `cf_clearance=…;user_agent=…` (which plain replies always are).',
    sources: ['client', 'blog', 'examples'],
  },
  lemin: {
    values: ['jsonText', 'object', 'token'],
    official: 'jsonText',
    family: 'jsonText',
    means: 'Lemin’s answer as JSON text of its two fields, as an object, or as a plain token.',
    sources: ['client', 'guide'],
  },
  ids: {
    values: ['integer', 'string', 'beyond53', 'inResult', 'uuid'],
    official: 'integer',
    family: 'string',
    means:
      'Task ids in JSON replies: integers, strings, integers that no double holds, in `result`, or no numbers at all.',
    sources: ['reference', 'family', 'guess'],
  },
  status: {
    values: ['number', 'string', 'boolean'],
    official: 'number',
    family: 'number',
    means: 'How `status` is written.',
    sources: ['reference', 'guess'],
  },
  bodies: {
    values: ['clean', 'plainWords', 'bom', 'newline'],
    official: 'clean',
    family: 'clean',
    means: 'Replies as they should be, error words in plain text in spite of `json=1`, a byte order mark, or newlines.',
    sources: ['client', 'guess'],
  },
  jsonDefault: {
    values: ['plain', 'json'],
    official: 'plain',
    family: 'plain',
    means: 'What is answered when `json` is not sent.',
    sources: ['guide', 'reference'],
  },
  jsonBodies: {
    values: ['ignored', 'read'],
    official: 'ignored',
    family: 'read',
    means: 'Whether a request with a JSON body is understood.',
    sources: ['reference', 'family'],
  },
  requiredFields: {
    values: ['strict', 'lenient'],
    official: 'strict',
    family: 'strict',
    means:
      'Whether all fields that the documents call required are, or only those without which nothing can be solved.',
    sources: ['client', 'guide', 'family'],
  },
  unknownMethod: {
    values: ['ERROR_METHOD_CALL', 'ERROR_BAD_PARAMETERS', 'accept'],
    official: 'ERROR_METHOD_CALL',
    family: 'ERROR_METHOD_CALL',
    means: 'What a `method` meets that the dialect does not have: a refusing word, or it is accepted and paid.',
    sources: ['family', 'guess'],
  },
  imageBytes: {
    values: ['1MB', '100kB', 'http413'],
    official: '1MB',
    family: '100kB',
    means: 'The largest image: two official pages differ. `http413`: above 100 kB a gateway refuses the request.',
    sources: ['reference', 'guide', 'client'],
  },
  imageSides: {
    values: ['1000px', 'any'],
    official: '1000px',
    family: '1000px',
    means: 'The longest side of a PNG or GIF (`ERROR_IMAGE_DIMENSIONS_TOO_LARGE`).',
    sources: ['client'],
  },
  pollVerb: {
    values: ['any', 'get', 'queryOnly', 'post'],
    official: 'any',
    family: 'any',
    means:
      'How results may be asked for: any way, by GET alone (405), by any verb but with the body ignored, by POST alone (405).',
    sources: ['reference', 'client', 'guess'],
  },
  reading: {
    values: ['forEver', 'once', 'tenMinutes'],
    official: 'forEver',
    family: 'forEver',
    means: 'How often and how long a result can be read; after that `ERROR_WRONG_CAPTCHA_ID`.',
    sources: ['guess'],
  },
} as const satisfies Record<string, Switch>;

export type SwitchName = keyof typeof SWITCHES;
export type Switches = { [Name in SwitchName]: (typeof SWITCHES)[Name]['values'][number] };

export const SWITCH_NAMES = Object.keys(SWITCHES) as SwitchName[];

/** What a simulator is like: its methods by the dialect, everything else by the switches. */
export interface Provider {
  dialect: Dialect;
  switches: Switches;
}

/** Every switch as the dialect has it. */
export function switchesOf(dialect: Dialect): Switches {
  return Object.fromEntries(SWITCH_NAMES.map((name) => [name, SWITCHES[name][dialect]])) as Switches;
}

/** Reads `answerField=request,ids=uuid`. Throws with the names and values there are where the text has others. */
export function parseSwitches(text: string): Partial<Switches> {
  const pairs = text.split(',').filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => parsePair(pair.trim())));
}

function parsePair(pair: string): [string, string] {
  const [name = '', value = ''] = pair.split('=', 2);
  const row: Switch | undefined = Object.hasOwn(SWITCHES, name) ? SWITCHES[name as SwitchName] : undefined;
  if (row === undefined) throw new Error(`no switch ${JSON.stringify(name)}; there are ${SWITCH_NAMES.join(', ')}`);
  if (!row.values.includes(value)) throw new Error(`${name} is one of ${row.values.join(', ')}, not ${value}`);
  return [name, value];
}
