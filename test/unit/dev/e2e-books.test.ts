/** How the end-to-end run reads the provider's books against its tasks, and which images and tables it understands. */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import { faultsIn, unansweredIn } from '../../../dev/e2e/load.ts';
import { tableOf } from '../../../dev/e2e/run.ts';
import { splitImage } from '../../../dev/e2e/settings.ts';
import { asScript, blockOf, phasesIn, promptsOf } from '../../../dev/e2e/steps/readme.ts';

function task(name: string, status: object): CaptchaTask {
  const turnstile = { siteKey: `key-${name}`, pageURL: 'https://load.example/' };
  return { metadata: { name }, spec: { captcha: { type: 'Turnstile', turnstile } }, status } as CaptchaTask;
}

function solved(name: string, captchaID: string): CaptchaTask {
  return task(name, { phase: 'Solved', solution: { captchaID } });
}

function submission(
  name: string,
  id: string,
  paid = true,
): { paid: boolean; fields: Record<string, string>; id: string } {
  return { paid, fields: { sitekey: `key-${name}` }, id };
}

describe('the books of the end-to-end run', () => {
  test('have nothing against a task that was paid for once and has that result', () => {
    expect(faultsIn([solved('a', '1')], [submission('a', '1')])).toEqual([]);
  });

  test('count a submission that was refused as none', () => {
    expect(faultsIn([solved('a', '2')], [submission('a', '1', false), submission('a', '2')])).toEqual([]);
  });

  test('name a task that was paid for twice', () => {
    expect(faultsIn([solved('a', '2')], [submission('a', '1'), submission('a', '2')])).toEqual([
      'a was paid for 2 times',
    ]);
  });

  test('name a task that is solved and was never paid for', () => {
    expect(faultsIn([solved('a', '1')], [])).toEqual(['a was paid for 0 times']);
  });

  test('name a task that has the result of another', () => {
    const books = [submission('a', '1'), submission('b', '2')];
    expect(faultsIn([solved('a', '2'), solved('b', '2')], books)).toEqual(['a has the result of another submission']);
  });

  test('name a task that failed or was lost', () => {
    expect(faultsIn([task('a', { phase: 'Failed' })], [submission('a', '1')])).toContain('a is Failed');
  });

  test('name each callback that was not answered 200, and what it met', () => {
    const call = { timeMs: 0, method: 'GET', id: '1', code: 'x' };
    const pingbacks = [
      { ...call, status: 200 },
      { ...call, status: 503 },
      { ...call, status: 0, error: 'socket hang up' },
    ];
    expect(unansweredIn([{ pingbacks: [{ ...call, status: 200 }] }, { pingbacks }])).toEqual([
      'the callback for 1 met status 503',
      'the callback for 1 met socket hang up',
    ]);
  });
});

describe('the README as it is followed', () => {
  const page = 'text\n```console\n$ first\nprinted\n$ second -w\n$ third\n```\n```sh\nmake\n```\n';

  test('is the commands of its blocks, without what they print', () => {
    expect(promptsOf(blockOf(page, 'console'))).toEqual(['first', 'second -w', 'third']);
    expect(blockOf(page, 'sh')).toBe('make\n');
    expect(() => blockOf(page, 'json')).toThrow('no block of json');
  });

  test('shows phases, which are read from the rows of its tables', () => {
    const rows =
      'NAME    TYPE          PHASE\nlogin   RecaptchaV2\nlogin   RecaptchaV2   Submitted            1   0s\n';
    expect(phasesIn(`${rows}login   RecaptchaV2   Solved   Poll`)).toEqual(['Submitted', 'Solved']);
  });

  test('has a watch beside the commands after it, which ends with them', () => {
    expect(asScript(['first', 'second -w', 'third'], '/seen')).toBe(
      'first\nsecond -w > /seen & watch=$!\nthird\nkill $watch\n',
    );
  });
});

describe('the end-to-end run', () => {
  test('parts an image at the tag and not at the port of a registry', () => {
    expect(splitImage('registry.example:5000/team/operator:1.2')).toEqual({
      name: 'registry.example:5000/team/operator',
      tag: '1.2',
    });
    expect(splitImage('registry.example:5000/operator')).toEqual({
      name: 'registry.example:5000/operator',
      tag: 'latest',
    });
  });

  test('prints a line for each step, what it has seen last', () => {
    const rows = [{ step: 'drain', end: 'left out', seen: 'one node', seconds: 1.25 }] as const;
    expect(tableOf(rows)).toEqual(['STEP   END       TIME   SEEN', 'drain  left out  1.3 s  one node']);
  });
});
