import { describe, expect, test } from 'vitest';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { solved } from '../../../../src/core/task/transitions.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { aTask } from '../../../support/builders.ts';
import { passTime as pass, useFakeClock } from '../../../support/fake-clock.ts';

let stage: Stage;
const startStage = useFakeClock();

/** A provider whose account has so many threads; `open` holds what is at work there. */
interface Account {
  threads: number | undefined;
  open: Set<string>;
  most: number;
  /** Keys that `threadsinfo` was asked with. */
  asked: string[];
  /** While set, replies of `in.php` wait. */
  replies: Promise<void> | undefined;
}

async function start(account: Account): Promise<void> {
  let ids = 1_000;
  stage = await startStage({
    provider: {
      async submit(request): Promise<SubmitOutcome> {
        stage.submissions.push(request);
        const captchaID = String((ids += 1));
        account.open.add(captchaID);
        account.most = Math.max(account.most, account.open.size);
        await account.replies;
        return { kind: 'accepted', captchaID };
      },
      poll: () => Promise.resolve({ kind: 'pending' }),
      threads({ apiKey }) {
        account.asked.push(apiKey);
        return Promise.resolve(account.threads === undefined ? undefined : { threads: account.threads });
      },
    },
  });
}
const anAccount = (threads?: number): Account => ({
  threads,
  open: new Set(),
  most: 0,
  asked: [],
  replies: undefined,
});
const named = (name: string) => aTask().created(Date.now()).named(name).uid(`uid-of-${name}`);
/** The callback brings the result: the provider is done with it, and the sidecar writes it. */
function callBack(account: Account, name: string): void {
  account.open.clear();
  const task = stage.task(name);
  if (task === undefined) throw new Error(`no task ${name}`);
  const solution = { value: 'x', source: 'Callback', attempt: 1, captchaID: '5' } as const;
  stage.write(solved(task, { ...solution, receivedTime: formatTime(Date.now()) }, Date.now()), name);
}
const phaseOf = (name: string) => stage.task(name)?.status?.phase;
const isRecord = (request: ApiRequest) =>
  request.verb === 'replaceStatus' && (request.object as { status: { phase: string } }).status.phase === 'Submitted';

describe('threads of an account', () => {
  test('are never exceeded, however long it takes to record an accepted id', async () => {
    const account = anAccount(2);
    await start(account);
    stage.client.fate = (request) =>
      isRecord(request) ? new Promise((resolve) => setTimeout(resolve, 200)) : undefined;
    stage.apply(named('first'));
    await pass(1_500);
    expect(phaseOf('first')).toBe('Submitted');
    for (let n = 0; n < 10; n += 1) stage.apply(named(`t${n}`));
    await pass(10_000);
    expect(account.most).toBe(2);
  });

  test('are free again when the callback came before the reply of in.php', async () => {
    const account = anAccount(2);
    await start(account);
    stage.apply(named('first'));
    await pass(1_500);
    callBack(account, 'first');
    const replies = Promise.withResolvers<void>();
    account.replies = replies.promise;
    for (const name of ['a', 'b']) stage.apply(named(name));
    await pass(1_000);
    expect(stage.submissions).toHaveLength(3);
    for (const name of ['a', 'b']) callBack(account, name);
    await pass(100);
    replies.resolve();
    account.replies = undefined;
    await pass(100);
    stage.apply(named('next'));
    await pass(1_000);
    expect(phaseOf('next')).toBe('Submitted');
  });

  test('are held for five minutes at most by a task that another clock says was accepted an hour from now', async () => {
    const account = anAccount(1);
    await start(account);
    stage.apply(named('first'));
    await pass(1_500);
    callBack(account, 'first');
    const ahead = Date.now() + 3_600_000;
    stage.apply(named('foreign').intended(ahead, { by: 'operator-b/1' }).submitted(ahead));
    await pass(100);
    stage.apply(named('next'));
    await pass(10_000);
    expect(phaseOf('next')).toBe('Pending');
    await pass(300_000);
    expect(phaseOf('next')).toBe('Submitted');
  });

  test('are not asked for with a key that nobody has used for a while', async () => {
    const account = anAccount(undefined);
    await start(account);
    const replies = Promise.withResolvers<void>();
    account.replies = replies.promise;
    stage.apply(named('gone'));
    await pass(1_000);
    stage.remove('gone');
    await pass(100);
    replies.resolve();
    await pass(20 * 60_000);
    const asked = account.asked.length;
    await pass(60 * 60_000);
    expect(account.asked).toHaveLength(asked);
  });
});

describe('a task that was recreated under the same name', () => {
  test('waits for the end of the call of its predecessor while the key is untried', async () => {
    const account = anAccount();
    await start(account);
    const replies = Promise.withResolvers<void>();
    account.replies = replies.promise;
    stage.apply(named('login'));
    await pass(1_000);
    stage.remove('login');
    stage.apply(named('login').uid('uid-of-another'));
    await pass(1_000);
    expect(stage.submissions).toHaveLength(1);
    replies.resolve();
    await pass(1_000);
    expect(stage.submissions).toHaveLength(2);
    expect(stage.task('login')?.status?.submission?.captchaID).toBe('1002');
  });
});

test('the threads of a key that the provider never accepted are not asked for: it bans addresses that try wrong keys', async () => {
  const asked: string[] = [];
  stage = await startStage({
    provider: {
      submit: () => Promise.resolve({ kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' }),
      poll: () => Promise.resolve({ kind: 'pending' }),
      threads({ apiKey }) {
        asked.push(apiKey);
        return Promise.resolve(undefined);
      },
    },
  });
  for (const name of ['a', 'b', 'c']) stage.apply(named(name));
  await pass(20 * 60_000);
  expect(asked).toEqual([]);
});
