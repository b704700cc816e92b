/** Step 1: what costs nothing. Envelopes, words, and the ways in which the provider lets itself be asked. */
import { AccountRefused, type Question } from '../question.ts';
import { ask, send, submitInvalid, type Session } from '../session.ts';
import { formOf, shapeOf, wordOf } from '../shape.ts';
import type { Reply } from '../exchange.ts';
import { V2 } from './tasks.ts';

const NEVER_ISSUED = '1000000001';
const REFUSED = new Set(['ERROR_WRONG_USER_KEY', 'ERROR_KEY_DOES_NOT_EXIST', 'IP_BANNED', 'ERROR_IP_NOT_ALLOWED']);

export const FREE: readonly Question[] = [
  {
    id: 'threads',
    step: 1,
    asks: 'What does threadsinfo answer, and where does it keep its counts?',
    mayCost: 0,
    async ask(session) {
      const reply = await ask(session, { action: 'threadsinfo', json: '1' });
      const word = wordOf(reply);
      if (REFUSED.has(word)) throw new AccountRefused(word);
      return { threadsinfo: envelopeOf(reply) };
    },
  },
  {
    id: 'balance',
    step: 1,
    asks: 'How is a balance written?',
    mayCost: 0,
    async ask(session) {
      const json = shapeOf(await ask(session, { action: 'getbalance', json: '1' }));
      const plain = await ask(session, { action: 'getbalance', json: '0' });
      const isNumber = /^\d+(\.\d+)?$/.test(plain.text.trim());
      return {
        'balance in JSON': formOf(json.members?.['request']),
        'balance in plain text': isNumber ? 'a number' : wordOf(plain),
      };
    },
  },
  {
    id: 'ids',
    step: 1,
    asks: 'What is said of ids that never were, and in which form?',
    mayCost: 0,
    async ask(session) {
      const unknown = await ask(session, { action: 'get', id: NEVER_ISSUED, json: '1' });
      const malformed = await ask(session, { action: 'get', id: 'abc', json: '1' });
      const unasked = await ask(session, { action: 'get', id: NEVER_ISSUED });
      return {
        'an id that never was': wordOf(unknown),
        'an id that is no number': wordOf(malformed),
        bodies: bodiesOf(unknown),
        jsonDefault: unasked.text.trimStart().startsWith('{') ? 'json' : 'plain',
      };
    },
  },
  {
    id: 'verbs',
    step: 1,
    asks: 'May results be asked for by POST with the key in the body?',
    mayCost: 0,
    ask: askVerbs,
  },
  {
    id: 'refusals',
    step: 1,
    asks: 'Which words refuse a task without a page, and a method that nobody has?',
    mayCost: 0,
    async ask(session) {
      const { pageurl: _, ...pageless } = V2;
      const missing = await submitInvalid(session, pageless);
      const unknown = await submitInvalid(session, { ...V2, method: 'no_such_method' });
      return { 'no page': wordIn(missing), unknownMethod: wordIn(unknown).replace('accepted', 'accept') };
    },
  },
  {
    id: 'hosts',
    step: 2,
    asks: 'Can callback hosts be listed?',
    mayCost: 0,
    async ask(session) {
      const reply = await ask(session, { action: 'get_pingback', json: '0' });
      return { get_pingback: /^OK(\||$)/.test(reply.text.trim()) ? 'OK|…' : wordOf(reply) };
    },
  },
  {
    id: 'wrong key',
    step: 1,
    asks: 'Which word refuses a key that nobody has? (Asked once: more would get the address banned.)',
    mayCost: 0,
    async ask(session) {
      const reply = await ask(session, { key: 'f'.repeat(32), action: 'getbalance', json: '1' });
      return { 'a key that nobody has': wordOf(reply) };
    },
  },
];

const wordIn = (it: { kind: 'accepted' } | { kind: string; word: string }): string =>
  'word' in it ? it.word : 'accepted';

function envelopeOf(reply: Reply): string {
  const { members, word } = shapeOf(reply);
  if (word !== undefined) return word === 'ERROR_EMPTY_ACTION' ? 'unsupported' : word;
  if (members === undefined) return wordOf(reply);
  const { threads, request } = members;
  if (threads === undefined) return formOf(request).includes('threads') ? 'nested' : 'something else';
  if (Number(threads) === 0) return 'zero';
  if (typeof threads === 'string') return 'strings';
  return 'status' in members ? 'topLevel' : 'noStatus';
}

function bodiesOf({ text }: Reply): string {
  if (text.startsWith('\uFEFF')) return 'bom';
  if (!text.trimStart().startsWith('{')) return 'plainWords';
  return text === text.trim() ? 'clean' : 'newline';
}

async function askVerbs(session: Session): Promise<Record<string, string>> {
  const { key } = session.target;
  const query = { action: 'get', id: NEVER_ISSUED, json: '1' };
  const fields = { key, ...query };
  const got = wordOf(await send(session, { path: 'res.php', verb: 'GET', encoding: 'query', fields }));
  const posted = wordOf(await send(session, { path: 'res.php', verb: 'POST', encoding: 'form', fields }));
  const split = await send(session, { path: 'res.php', verb: 'POST', encoding: 'form', fields: { key }, query });
  return { pollVerb: verbOf(got, posted), 'POST with all but the key in the URL': wordOf(split) };
}

/** Words of the same question asked two ways. */
function verbOf(got: string, posted: string): string {
  if (got === posted) return 'any';
  if (got.startsWith('http')) return 'post';
  return posted.startsWith('http') ? 'get' : 'queryOnly';
}
