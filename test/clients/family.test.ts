/** Three clients of the protocol family judge the `family` dialect: each must solve every type it has. */
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { NPM, SOLVECAPTCHA, TWOCAPTCHA, type Call } from './calls.ts';
import { bodiesOf, recordedBodies } from './record.ts';
import { runClient, type ClientName, type Outcome } from './run.ts';
import { CHALLENGE, GT } from './values.ts';

const python = inject('python');
const path = 'path' in python ? python.path : '';
const unless = 'missing' in python ? ` (skipped: ${python.missing})` : '';

const text = (id: string): unknown => `text${id.slice(-6)}`;

/** The answer by type, given the id; a token where nothing is said. */
const ANSWERS: Readonly<Record<string, (id: string) => unknown>> = {
  Image: text,
  'Image as a file': text,
  coordinates: text,
  'question in words': (id) => expect.stringContaining(id.slice(-6)),
  Grid: () => 'click:1/4/7',
  canvas: () => 'click:1/4/7',
  CaptchaFox: (id) => `fox-token-${id}`,
  Lemin: (id) => JSON.stringify({ answer: `0xabcx_${id}`, challenge_uuid: `uuid-${id}` }),
  'GeeTest v3': (id) => ({
    geetest_challenge: CHALLENGE,
    geetest_validate: `validate${id}`,
    geetest_seccode: `validate${id}|jordan`,
  }),
  'GeeTest v4': (id) => expect.objectContaining({ captcha_id: GT, lot_number: `lot${id}` }),
};

function judge(client: ClientName, calls: readonly Call[], answerField: string): void {
  let outcomes: Outcome[];
  beforeAll(async () => {
    outcomes = await runClient(client, path);
  });

  test.each(calls.map(({ name }) => name))('solves %s, paid once', (name) => {
    const outcome = outcomes.find(({ call }) => call.name === name);
    expect(outcome?.error).toBeUndefined();
    const id = outcome?.line?.id ?? '';
    const answer = (ANSWERS[name] ?? ((id) => `03token-${id}_AbC-dEf+gHi/jKl=`))(id);
    expect(outcome?.result).toMatchObject({ [answerField]: answer });
    expect(outcome?.line).toMatchObject({ paid: true, polls: [{ answer: 'pending' }, { answer: 'solved' }] });
  });

  test('sends what was recorded of it (else run: npm run generate:client-docs)', () => {
    expect(bodiesOf(outcomes)).toEqual(recordedBodies()[client]);
  });

  test('submits nothing twice', () => {
    const ids = outcomes.map(({ line }) => line?.id);
    expect(new Set(ids).size).toBe(calls.length);
  });
}

const FILE = '/tmp/captcha.gif';

describe.skipIf(path === '')(`2captcha-python against the family dialect${unless}`, () =>
  judge('2captcha-python', TWOCAPTCHA(FILE), 'code'),
);

describe.skipIf(path === '')(`solvecaptcha-python against the family dialect${unless}`, () =>
  judge('solvecaptcha-python', SOLVECAPTCHA(FILE), 'code'),
);

describe('@2captcha/captcha-solver against the family dialect', () => judge('@2captcha/captcha-solver', NPM, 'data'));
