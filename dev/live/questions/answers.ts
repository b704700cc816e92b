/** Steps 3 and 4: where the answers of each type stand, in which form, and what makes a picture a grid. */
import type { Materials, Observations, Question, Site } from '../question.ts';
import { solve, type Session, type Solved } from '../session.ts';
import { formOf } from '../shape.ts';
import { BLS, GRID, RED_CELLS } from './tasks.ts';

const enterprise = (site: Site): Record<string, string> => ({
  method: 'userrecaptcha',
  googlekey: site.siteKey,
  pageurl: site.pageURL,
  enterprise: '1',
  ...(site.action === undefined ? {} : { action: site.action }),
});

export const ANSWERS: readonly Question[] = [
  {
    id: 'reCAPTCHA v2 Enterprise',
    step: 3,
    asks: 'Does an Enterprise answer stand in `result` or in `request`, and with which user agent?',
    mayCost: 1,
    needs: 'v2Enterprise',
    ask: async (session, { v2Enterprise }) => placeOf(await solve(session, enterprise(given(v2Enterprise)))),
  },
  {
    id: 'reCAPTCHA v3 Enterprise',
    step: 3,
    asks: 'And that of v3 Enterprise?',
    mayCost: 1,
    needs: 'v3Enterprise',
    ask: async (session, { v3Enterprise }) =>
      placeOf(await solve(session, { ...enterprise(given(v3Enterprise)), version: 'v3' })),
  },
  {
    id: 'Cloudflare Challenge',
    step: 3,
    asks: 'Where does a clearance stand, in which form, and with which user agent?',
    mayCost: 1,
    needs: 'proxy',
    ask: askChallenge,
  },
  {
    id: 'grid',
    step: 4,
    asks: 'Which fields make a picture a grid: the official ones, the older ones, both? Are the right cells found?',
    mayCost: 3,
    ask: askGrid,
  },
  {
    id: 'BLS',
    step: 4,
    asks: 'Are nine tiles taken as a form and as multipart?',
    mayCost: 2,
    async ask(session) {
      const form = await solve(session, BLS);
      const multipart = await solve(session, BLS, { encoding: 'multipart' });
      return { 'BLS as a form': answerForm(form), 'BLS as multipart': answerForm(multipart) };
    },
  },
];

function given<T>(material: T | undefined): T {
  if (material === undefined) throw new Error('asked without what it needs');
  return material;
}

async function askChallenge(session: Session, { proxy }: Materials): Promise<Observations> {
  const { address, type } = given(proxy);
  const pageurl = 'https://nopecha.com/demo/cloudflare';
  const solved = await solve(session, { method: 'cloudflare_challenge', pageurl, proxy: address, proxytype: type });
  const found = answerIn(solved);
  const form = found === undefined ? undefined : CLEARANCES[formOf(found).split(' of ')[0] ?? ''];
  return { ...placeOf(solved, 'a clearance'), ...(form === undefined ? {} : { challenge: form }) };
}

const CLEARANCES: Readonly<Record<string, string>> = {
  text: 'text',
  'cf_clearance=': 'pairs',
  object: 'object',
  'JSON text of an object': 'object',
  'JSON text': 'object',
};

/** The value, wherever it stands. */
function answerIn(solved: Solved): unknown {
  if (solved.kind !== 'solved') return undefined;
  const { request, result } = solved.members;
  return request === undefined || request === '' ? result : request;
}

/** Where the answer stands and what stands beside it; a word where there is none. */
function placeOf(solved: Solved, what = 'an Enterprise answer'): Observations {
  if (solved.kind !== 'solved') return { [what]: solved.word };
  const { request, result, ...others } = solved.members;
  const agents = ['user_agent', 'userAgent', 'useragent'].filter((name) => typeof others[name] === 'string');
  const told = agents[0];
  return {
    answerField: fieldOf(request, result),
    userAgent: told === undefined ? 'absent' : 'beside',
    ...(told === undefined ? {} : { userAgentName: told }),
  };
}

function fieldOf(request: unknown, result: unknown): string {
  if (result === undefined) return 'request';
  if (request === undefined) return 'result';
  return request === '' ? 'emptyRequest' : 'both';
}

const answerForm = (solved: Solved): string => (solved.kind === 'solved' ? formOf(answerIn(solved)) : solved.word);

async function askGrid(session: Session): Promise<Observations> {
  const official = await solve(session, GRID.official);
  const older = await solve(session, GRID.older);
  const both = await solve(session, GRID.both);
  const listed = [both, official, older].find((it) => cellsOf(it) !== undefined);
  const form = answerForm(listed ?? both);
  return {
    gridTrigger: triggerOf(cellsOf(official) !== undefined, cellsOf(older) !== undefined),
    gridAnswer: GRID_FORMS[form] ?? form,
    'a grid by both sets of fields': cellsOf(both) === undefined ? answerForm(both) : 'a list',
    'the red cells': listed === undefined ? 'no list' : foundIn(listed),
  };
}

function triggerOf(byType: boolean, byFlag: boolean): string {
  if (byType) return byFlag ? 'either' : 'img_type';
  return byFlag ? 'recaptcha' : 'none of them';
}

const foundIn = (solved: Solved): string => (String(cellsOf(solved)) === String(RED_CELLS) ? 'found' : 'others found');

const GRID_FORMS: Readonly<Record<string, string>> = {
  'JSON text of a list': 'jsonText',
  'a list': 'array',
  'click:': 'click',
  text: 'text',
};

/** The cells of an answer, in order; undefined where it is no list. */
function cellsOf(solved: Solved): number[] | undefined {
  const answer = answerIn(solved);
  const text = Array.isArray(answer) ? answer.join(',') : typeof answer === 'string' ? answer : '';
  const list = /^(?:\[|click:)?([\d\s,/"]+)\]?$/.exec(text)?.[1];
  if (list === undefined) return undefined;
  return list
    .split(/[,/]/)
    .map((cell) => Number(cell.replaceAll(/["\s]/g, '')))
    .toSorted((a, b) => a - b);
}
