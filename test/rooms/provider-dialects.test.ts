/**
 * The simulator as several providers: each dialect and each switch does what docs/simulator.md says of it. Replies are
 * compared as bytes on the wire; what our own client makes of them is tested elsewhere.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { SimulatorOptions } from '../../dev/simulator/script.ts';
import type { Switches } from '../../dev/simulator/switches.ts';
import { waitUntil } from '../support/wait-until.ts';

const key = 'abcdefabcdefabcdefabcdefabcdefab';
const AGENT = 'Mozilla/5.0 (test)';
const PROXY = { proxy: 'u:p@192.0.2.7:3128', proxytype: 'HTTP' };
const pageurl = 'https://example.com/';
/** The head of a GIF says how wide it is. */
const gif = (width: number): string => {
  const bytes = Buffer.alloc(200);
  bytes.write('GIF89a', 'latin1');
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(10, 8);
  return bytes.toString('base64');
};

const image = (bytes: number): Form => ({ method: 'base64', body: Buffer.alloc(bytes, 7).toString('base64') });

const v2 = { method: 'userrecaptcha', googlekey: 'K', pageurl };
const enterprise = { ...v2, enterprise: '1', userAgent: AGENT };
const challenge = { method: 'cloudflare_challenge', pageurl, userAgent: AGENT, ...PROXY };
const geetest = { method: 'geetest', gt: 'g', challenge: 'c', pageurl };
const grid = { method: 'base64', body: gif(300), img_type: 'recaptcha', grid_size: '3x3', instructions: 'bicycles' };
const lemin = { method: 'lemin', captcha_id: 'C', div_id: 'D', pageurl };
const fox = { method: 'captchafox', sitekey: 'K', pageurl, userAgent: AGENT, ...PROXY };

let simulator: Simulator;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

type Form = Record<string, string>;

async function begin(options: SimulatorOptions = { dialect: 'official' }): Promise<void> {
  simulator = await startSimulator(options);
  closers.push(() => simulator.stop());
}
const official = (switches: Partial<Switches>): Promise<void> => begin({ dialect: 'official', switches });

interface Sent {
  body?: string | URLSearchParams;
  headers?: Record<string, string>;
}

async function send(path: string, fields: Form, init: Sent = {}): Promise<Response> {
  const body = new URLSearchParams({ key, json: '1', ...fields });
  return fetch(`${simulator.url}${path}`, {
    method: 'POST',
    body,
    ...init,
    headers: { connection: 'close', ...init.headers },
  });
}
const submit = async (fields: Form): Promise<string> => (await send('/in.php', fields)).text();
const ask = async (action: string, fields: Form = {}): Promise<string> =>
  (await send('/res.php', { action, ...fields })).text();

async function accepted(fields: Form): Promise<string> {
  const text = await submit(fields);
  const id = /"(?:request|result)":"?([\w-]+)"?/.exec(text)?.[1];
  if (!/"status":("1"|1|true)/.test(text) || id === undefined) throw new Error(text);
  return id;
}

/** What a poll says once the task is solved; the id is written as `#`. */
async function solved(fields: Form, more: Form = {}): Promise<string> {
  const id = await accepted(fields);
  const text = await waitUntil('the answer', async () => {
    const answer = await ask('get', { id, ...more });
    return answer.includes('CAPCHA_NOT_READY') ? undefined : answer;
  });
  return text.replaceAll(id, '#');
}

const TOKEN = '"03token-#_AbC-dEf+gHi/jKl="';
const UA = `"user_agent":"${AGENT}"`;

describe('the official dialect', () => {
  const shapes: [string, Form, string][] = [
    ['v2', v2, `{"status":1,"request":${TOKEN}}`],
    ['v2 Enterprise', enterprise, `{"status":1,"result":${TOKEN},${UA}}`],
    ['v3 Enterprise', { ...enterprise, version: 'v3', action: 'a' }, `{"status":1,"result":${TOKEN},${UA}}`],
    ['a challenge', challenge, `{"status":1,"result":"clearance-#",${UA}}`],
    ['CaptchaFox', fox, `{"status":1,"request":"fox-token-#",${UA}}`],
    ['a grid', grid, '{"status":1,"request":"[1, 4, 7]"}'],
    [
      'GeeTest',
      geetest,
      String.raw`{"status":1,"request":"{\"challenge\":\"c\",\"validate\":\"validate#\",\"seccode\":\"validate#|jordan\"}"}`,
    ],
    ['Lemin', lemin, String.raw`{"status":1,"request":"{\"answer\":\"0xabcx_#\",\"challenge_uuid\":\"uuid-#\"}"}`],
    ['Friendly Captcha', { method: 'friendly_captcha', sitekey: 'K', pageurl }, `{"status":1,"request":${TOKEN}}`],
  ];
  test.each(shapes)('answers %s as documented', async (_type, fields, expected) => {
    await begin();
    expect(await solved(fields)).toBe(expected);
  });

  test('answers CaptchaFox in plain text by its token alone', async () => {
    await begin();
    expect(await solved(fox, { json: '0' })).toBe('OK|fox-token-#');
  });

  test('tells the thread counts beside the status', async () => {
    await begin();
    await simulator.control.account(key, { threads: 5, workingElsewhere: 2 });
    expect(await ask('threadsinfo')).toBe('{"status":1,"threads":5,"working_threads":2}');
  });

  test.each([
    ['challenge of GeeTest', { ...geetest, challenge: '' }, 'ERROR_BAD_PARAMETERS'],
    ['pageurl of GeeTest', { ...geetest, pageurl: '' }, 'ERROR_PAGEURL'],
    ['action of v3', { ...v2, version: 'v3' }, 'ERROR_BAD_PARAMETERS'],
    ['div_id of Lemin', { ...lemin, div_id: '' }, 'ERROR_BAD_PARAMETERS'],
    ['proxy of CaptchaFox', { ...fox, proxy: '' }, 'ERROR_BAD_PARAMETERS'],
    ['sitekey of Friendly Captcha', { method: 'friendly_captcha', pageurl }, 'ERROR_BAD_PARAMETERS'],
    ['instructions of a grid', { ...grid, instructions: '' }, 'ERROR_BAD_PARAMETERS'],
    ['size of a grid', { ...grid, grid_size: '5x5' }, 'ERROR_BAD_PARAMETERS'],
    ['method', { ...v2, method: 'userecaptcha' }, 'ERROR_METHOD_CALL'],
    ['method that only the family has', { ...v2, method: 'hcaptcha', sitekey: 'K' }, 'ERROR_METHOD_CALL'],
  ])('insists on the right %s', async (_what, fields, word) => {
    await begin();
    expect(await submit(fields)).toBe(`{"status":0,"request":"${word}"}`);
    expect((await simulator.control.totals()).paid).toBe(0);
  });

  test('keeps in its books how a call was sent', async () => {
    await begin();
    await (await fetch(`${simulator.url}/in.php?${new URLSearchParams({ key, ...v2 })}`)).text();
    await submit(v2);
    const { submissions } = await simulator.control.ledger();
    expect(submissions.map(({ sent }) => sent)).toEqual(['GET', 'POST form']);
  });
});

describe('the family dialect', () => {
  test('answers in the fields and forms of the family', async () => {
    await begin({ dialect: 'family' });
    expect(await submit(v2)).toMatch(/^\{"status":1,"request":"\d{10}"\}$/);
    expect(await solved(enterprise)).toBe(`{"status":1,"request":${TOKEN},"useragent":"${AGENT}"}`);
    expect(await solved({ method: 'base64', body: gif(300), recaptcha: '1' })).toBe(
      '{"status":1,"request":"click:1/4/7"}',
    );
    expect(await solved(geetest)).toBe(
      '{"status":1,"request":{"geetest_challenge":"c","geetest_validate":"validate#","geetest_seccode":"validate#|jordan"}}',
    );
    expect(await ask('threadsinfo')).toBe('{"status":0,"request":"ERROR_EMPTY_ACTION"}');
  });

  test('has the methods of the family, reads JSON bodies and questions in words', async () => {
    await begin({ dialect: 'family' });
    expect(await solved({ method: 'geetest_v4', captcha_id: 'C', pageurl })).toContain('"captcha_id":"C"');
    expect(await solved({ method: 'hcaptcha', sitekey: 'K', pageurl })).toContain('03token-#');
    expect(await solved({ method: 'post', textcaptcha: 'three and four?' })).toContain('"status":1');
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ key, json: 1, method: 'base64', body: gif(300), numeric: 1 });
    expect(await (await send('/in.php', {}, { body, headers })).text()).toContain('"status":1');
    expect(await submit({ method: 'amazon_waf', sitekey: 'K', pageurl })).toContain('ERROR_BAD_PARAMETERS');
  });
});

describe('a switch', () => {
  const shapes: [Partial<Switches>, Form, string][] = [
    [{ answerField: 'request' }, enterprise, `{"status":1,"request":${TOKEN},${UA}}`],
    [{ answerField: 'both' }, challenge, `{"status":1,"request":"clearance-#","result":"clearance-#",${UA}}`],
    [{ answerField: 'emptyRequest' }, enterprise, `{"status":1,"request":"","result":${TOKEN},${UA}}`],
    [{ answerField: 'both' }, v2, `{"status":1,"request":${TOKEN}}`],
    [{ userAgent: 'absent' }, enterprise, `{"status":1,"result":${TOKEN}}`],
    [{ userAgentName: 'useragent' }, fox, `{"status":1,"request":"fox-token-#","useragent":"${AGENT}"}`],
    [{ gridTrigger: 'recaptcha' }, grid, '{"status":1,"request":"text#"}'],
    [{ gridAnswer: 'array' }, grid, '{"status":1,"request":[1,4,7]}'],
    [{ gridAnswer: 'text' }, grid, '{"status":1,"request":"ABC123"}'],
    [{ geetest: 'pairs' }, geetest, '{"status":1,"request":"challenge:c,validate:validate#,seccode:validate#|jordan"}'],
    [
      { geetest: 'object' },
      geetest,
      '{"status":1,"request":{"challenge":"c","validate":"validate#","seccode":"validate#|jordan"}}',
    ],
    [{ challenge: 'pairs' }, challenge, `{"status":1,"result":"cf_clearance=clearance-#;user_agent=${AGENT}",${UA}}`],
    [
      { challenge: 'object' },
      challenge,
      String.raw`{"status":1,"result":"{\"cookies\":{\"cf_clearance\":\"clearance-#\"},\"userAgent\":\"${AGENT}\"}",${UA}}`,
    ],
    [{ lemin: 'token' }, lemin, '{"status":1,"request":"lemin-token-#"}'],
    [{ status: 'string' }, v2, `{"status":"1","request":${TOKEN}}`],
    [{ status: 'boolean' }, v2, `{"status":true,"request":${TOKEN}}`],
    [{ bodies: 'newline' }, v2, `\r\n{"status":1,"request":${TOKEN}}\n`],
    [{ ids: 'uuid' }, v2, `{"status":1,"request":${TOKEN}}`],
    [{ ids: 'inResult' }, v2, `{"status":1,"request":${TOKEN}}`],
  ];
  test.each(shapes)('%j: %o is answered %s', async (switches, fields, expected) => {
    await official(switches);
    expect((await solved(fields)).replace(/text\d{6}/, 'text#')).toBe(expected);
  });

  test.each([
    ['topLevel', '{"status":1,"threads":5,"working_threads":0}'],
    ['nested', '{"status":1,"request":{"threads":5,"working_threads":0}}'],
    ['strings', '{"status":1,"threads":"5","working_threads":"0"}'],
    ['noStatus', '{"threads":5,"working_threads":0}'],
    ['zero', '{"status":1,"threads":0,"working_threads":0}'],
    ['unsupported', '{"status":0,"request":"ERROR_EMPTY_ACTION"}'],
  ] as const)('threadsinfo %s: %s', async (threadsinfo, expected) => {
    await official({ threadsinfo });
    await simulator.control.account(key, { threads: 5 });
    expect(await ask('threadsinfo')).toBe(expected);
  });

  test.each([
    ['integer', /^\{"status":1,"request":\d{10}\}$/],
    ['string', /^\{"status":1,"request":"\d{10}"\}$/],
    ['beyond53', /^\{"status":1,"request":\d{19}\}$/],
    ['inResult', /^\{"status":1,"result":\d{10}\}$/],
    ['uuid', /^\{"status":1,"request":"[0-9a-f-]{36}"\}$/],
  ] as const)('ids %s', async (ids, expected) => {
    await official({ ids });
    expect(await submit(v2)).toMatch(expected);
  });

  test('bodies: error words may be plain in spite of json=1, or begin with a byte order mark', async () => {
    await official({ bodies: 'plainWords' });
    expect(await submit({ ...v2, pageurl: '' })).toBe('ERROR_PAGEURL');
    await simulator.control.switches({ bodies: 'bom' });
    const bytes = Buffer.from(await (await send('/in.php', { ...v2, pageurl: '' })).arrayBuffer());
    expect(bytes.subarray(0, 4).toString('latin1')).toBe('\u00EF\u00BB\u00BF{');
  });

  test('jsonDefault: what is answered when nobody asked for JSON', async () => {
    await official({ jsonDefault: 'json' });
    const body = new URLSearchParams({ key, ...v2 });
    expect(await (await send('/in.php', {}, { body })).text()).toContain('"status":1');
  });

  test('jsonBodies: read, or nothing but a missing key', async () => {
    await official({ jsonBodies: 'ignored' });
    const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key, json: 1, ...v2 }) };
    expect(await (await send('/in.php', {}, json)).text()).toBe('ERROR_WRONG_USER_KEY');
    await simulator.control.switches({ jsonBodies: 'read' });
    expect(await (await send('/in.php', {}, json)).text()).toContain('"status":1');
  });

  test('requiredFields lenient: takes what can be solved', async () => {
    await official({ requiredFields: 'lenient' });
    expect(await submit({ ...v2, version: 'v3' })).toContain('"status":1');
    expect(await submit({ ...geetest, challenge: '' })).toContain('"status":1');
    expect(await submit({ ...v2, pageurl: '' })).toContain('ERROR_PAGEURL');
  });

  test('unknownMethod accept: takes, and is paid for, what it does not know', async () => {
    await official({ unknownMethod: 'accept' });
    expect(await submit({ method: 'typo' })).toContain('"status":1');
  });

  test('geetestV4: by version, by method, or not at all', async () => {
    await begin();
    const byVersion = { method: 'geetest', version: '4', gt: 'C', pageurl };
    const byMethod = { method: 'geetest_v4', captcha_id: 'C', pageurl };
    const words: [string, string][] = [];
    for (const geetestV4 of ['version', 'method', 'unsupported'] as const) {
      await simulator.control.switches({ geetestV4 });
      words.push([await submit(byVersion), await submit(byMethod)]);
    }
    const taken = expect.stringContaining('"status":1');
    const refused = expect.stringContaining('"status":0');
    expect(words).toEqual([
      [taken, refused],
      [refused, taken],
      [refused, refused],
    ]);
  });

  test('imageBytes and imageSides: the limits of images', async () => {
    await begin();
    expect(await submit(image(150_000))).toContain('"status":1');
    expect(await submit({ method: 'base64', body: gif(1_100) })).toContain('ERROR_IMAGE_DIMENSIONS_TOO_LARGE');
    await simulator.control.switches({ imageBytes: '100kB', imageSides: 'any' });
    expect(await submit(image(150_000))).toContain('ERROR_TOO_BIG_CAPTCHA_FILESIZE');
    expect(await submit({ method: 'base64', body: gif(1_100) })).toContain('"status":1');
    await simulator.control.switches({ imageBytes: 'http413' });
    expect((await send('/in.php', image(150_000))).status).toBe(413);
  });

  test('pollVerb: only GET, only POST, or only what the URL says', async () => {
    await begin();
    const id = await accepted(v2);
    const query = new URLSearchParams({ key, json: '1', action: 'get', id });
    const got = async (): Promise<number> => (await fetch(`${simulator.url}/res.php?${query}`)).status;
    await simulator.control.switches({ pollVerb: 'get' });
    expect([await got(), (await send('/res.php', { action: 'get', id })).status]).toEqual([200, 405]);
    await simulator.control.switches({ pollVerb: 'post' });
    expect([await got(), (await send('/res.php', { action: 'get', id })).status]).toEqual([405, 200]);
    await simulator.control.switches({ pollVerb: 'queryOnly' });
    expect(await (await send(`/res.php?action=get&id=${id}&json=1`, {})).text()).toContain('ERROR_WRONG_USER_KEY');
  });

  test('reading: a result is read once, or for ten minutes', async () => {
    await official({ reading: 'once' });
    const once = await accepted(v2);
    await waitUntil('the first reading', async () => (await ask('get', { id: once })).includes('"status":1'));
    expect(await ask('get', { id: once })).toContain('ERROR_WRONG_CAPTCHA_ID');
    await simulator.control.switches({ reading: 'tenMinutes' });
    const id = await accepted(v2);
    await waitUntil('the first reading', async () => (await ask('get', { id })).includes('"status":1'));
    expect(await ask('get', { id })).toContain('"status":1');
    await simulator.control.advanceClock(601_000);
    expect(await ask('get', { id })).toContain('ERROR_WRONG_CAPTCHA_ID');
  });

  test('is as it was after a reset', async () => {
    await official({ status: 'string' });
    await simulator.control.switches({ status: 'boolean' });
    await simulator.control.reset();
    expect(await submit(v2)).toContain('"status":"1"');
  });
});

describe('a full thread pool', () => {
  test('refuses by the word of the dialect, counting the threads that others use', async () => {
    await begin({ dialect: 'official', answerAfterMs: 60_000 });
    await simulator.control.account(key, { threads: 3, workingElsewhere: 2 });
    expect(await submit(v2)).toContain('"status":1');
    expect(await submit(v2)).toBe('{"status":0,"request":"ERROR_ZERO_BALANCE"}');
    await simulator.control.switches({ poolFull: 'ERROR_NO_SLOT_AVAILABLE' });
    expect(await submit(v2)).toContain('ERROR_NO_SLOT_AVAILABLE');
  });

  test('may accept without a word and let tasks wait for a thread, the oldest first', async () => {
    await official({ poolFull: 'queue' });
    await simulator.control.account(key, { threads: 1, workingElsewhere: 1 });
    const [first, second] = [await accepted(v2), await accepted(v2)];
    expect(await ask('threadsinfo')).toBe('{"status":1,"threads":1,"working_threads":1}');
    expect(await ask('get', { id: first })).toContain('CAPCHA_NOT_READY');
    await simulator.control.account(key, { workingElsewhere: 0 });
    await waitUntil('the last one to be solved', async () => (await ask('get', { id: second })).includes('"status":1'));
    expect(await ask('get', { id: first })).toContain('"status":1');
    expect(await ask('threadsinfo')).toBe('{"status":1,"threads":1,"working_threads":0}');
  });
});

describe('an account', () => {
  test('whose plan has ended refuses as if it were busy, with free threads', async () => {
    await begin();
    await simulator.control.account(key, { threads: 4, state: 'expired' });
    expect(await submit(v2)).toBe('{"status":0,"request":"ERROR_ZERO_BALANCE"}');
    expect(await ask('threadsinfo')).toBe('{"status":1,"threads":4,"working_threads":0}');
  });

  test('that is suspended says so', async () => {
    await begin();
    await simulator.control.account(key, { state: 'suspended' });
    expect(await submit(v2)).toBe('{"status":0,"request":"ERROR_ACCOUNT_SUSPENDED"}');
  });
});

describe('pingbacks', () => {
  const received: string[] = [];
  let file: string | undefined;
  let host = '';

  async function receiver(): Promise<string> {
    received.length = 0;
    file = undefined;
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      request.once('end', () => {
        if (request.url === '/2captcha.txt') return response.writeHead(file === undefined ? 404 : 200).end(file);
        received.push(`${request.method} ${request.url} ${body}`.trim());
        return response.end('OK');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    return `http://${host}/cb`;
  }
  const sent = async (fields: Form): Promise<string> => {
    const id = await accepted(fields);
    await waitUntil('the pingback', () => received.length > 0);
    return (received[0] ?? '').replaceAll(id, '#');
  };

  test.each([
    ['GET', 'GET /cb?id=#&code=text'],
    ['FORM', 'POST /cb id=#&code=text'],
    ['JSON', 'POST /cb {"id":"#","code":"text'],
    ['MULTIPART', 'POST /cb ------pingback-7383820914\r\nContent-Disposition: form-data; name="id"\r\n\r\n#\r\n'],
  ] as const)('pingbackVerb %s: they come so', async (pingbackVerb, expected) => {
    const pingback = await receiver();
    await official({ pingbackVerb });
    expect(await sent({ method: 'base64', body: gif(300), pingback })).toContain(expected);
  });

  test('userAgent callback: they tell the agent, too', async () => {
    const pingback = await receiver();
    await official({ userAgent: 'callback', pingbackVerb: 'FORM' });
    expect(await sent({ ...challenge, pingback })).toBe(
      'POST /cb id=#&code=clearance-#&user_agent=Mozilla%2F5.0+%28test%29',
    );
  });

  test('may be ignored: the task is solved, and nothing comes', async () => {
    const pingback = await receiver();
    await official({ pingback: 'ignored' });
    expect(await solved({ ...v2, pingback })).toContain('03token');
    expect(received).toEqual([]);
  });

  test('may be refused, and then the submission is', async () => {
    const pingback = await receiver();
    await official({ pingback: 'refused' });
    expect(await submit({ ...v2, pingback })).toBe('{"status":0,"request":"ERROR_IP_ADDRES"}');
    expect(await submit(v2)).toContain('"status":1');
    await simulator.control.switches({ pingbackRefusal: 'ERROR_PINGBACK' });
    expect(await submit({ ...v2, pingback })).toContain('ERROR_PINGBACK');
  });

  test('may need a registered host, whose file shows whose it is', async () => {
    const pingback = await receiver();
    await official({ pingback: 'registered', ownershipFile: '/2captcha.txt' });
    expect(await submit({ ...v2, pingback })).toContain('ERROR_IP_ADDRES');
    expect(await ask('add_pingback', { addr: host })).toContain('ERROR_IP_ADDRES');
    file = 'f00dcafe\n';
    expect(await ask('add_pingback', { addr: `http://${host}/` })).toBe('{"status":1,"request":"OK_PINGBACK"}');
    expect(await ask('get_pingback', { json: '0' })).toBe(`OK|${host}`);
    expect(await sent({ ...v2, pingback })).toContain('GET /cb?id=#');
    expect(await ask('del_pingback', { addr: 'all' })).toContain('OK_PINGBACK');
    expect(await submit({ ...v2, pingback })).toContain('ERROR_IP_ADDRES');
  });

  test('may silently not come to a host that is not registered', async () => {
    const pingback = await receiver();
    await official({ pingback: 'registeredSilently' });
    expect(await solved({ ...v2, pingback })).toContain('03token');
    expect(received).toEqual([]);
    await ask('add_pingback', { addr: host });
    expect(await sent({ ...v2, pingback })).toContain('GET /cb?id=#');
  });
});
