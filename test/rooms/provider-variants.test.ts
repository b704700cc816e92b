/**
 * Every captcha type through our own client, against each provider that the simulator can be: the same task gives the
 * same result, with the user agent it is bound to and for one payment, however that provider words its replies. Where a
 * variant leaves no result to be had, the outcome that says so is named here.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { PollOutcome, SubmitOutcome } from '../../src/core/outcome.ts';
import { startSimulator } from '../../dev/simulator/index.ts';
import { DIALECTS, type Dialect } from '../../dev/simulator/switches.ts';
import { createProviderClient, type ProviderClient } from '../../src/provider/client.ts';
import { AGENT, KINDS, KIND_PROXY, isResult, type Kind } from '../support/captcha-kinds.ts';
import { SLOWLY, VARIANTS, expectedOutcomes, type Outcomes } from '../support/provider-variants.ts';
import { waitUntil } from '../support/wait-until.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const timeout = { timeoutMs: 10_000 };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** What comes of each kind: `solved`, `solved, no agent`, `wrong: …`, or how it was not. */
async function outcomes(
  dialect: Dialect,
  switches: object,
): Promise<{ found: Outcomes; accepted: number; paid: number }> {
  const simulator = await startSimulator({ dialect, switches, answerAfterMs: 5 });
  closers.push(() => simulator.stop());
  const client = createProviderClient({ baseUrl: simulator.url });
  closers.push(() => client.close());
  let accepted = 0;
  const solve = async ([name, kind]: [string, Kind]): Promise<[string, string]> => {
    const outcome = await client.submit({ apiKey: KEY, spec: kind.captcha, proxy: KIND_PROXY }, timeout);
    if (outcome.kind !== 'accepted') return [name, said(outcome)];
    accepted += 1;
    return [name, await resultOf(client, kind, outcome.captchaID)];
  };
  const found = Object.fromEntries(await Promise.all(Object.entries(KINDS).map(solve)));
  return { found, accepted, paid: (await simulator.control.totals()).paid };
}

async function resultOf(client: ProviderClient, kind: Kind, captchaID: string): Promise<string> {
  const { captcha, agent } = kind;
  let unreached = 0;
  const outcome = await waitUntil('an answer', async () => {
    const answer = await client.poll({ apiKey: KEY, captchaID, captcha }, timeout);
    if (answer.kind === 'unreachable') unreached += 1;
    return answer.kind === 'pending' || (answer.kind === 'unreachable' && unreached < 6) ? undefined : answer;
  });
  if (outcome.kind !== 'solved') return said(outcome);
  if (!isResult(kind, captchaID, outcome.value)) return `wrong: ${outcome.value}`;
  return agent === true && outcome.userAgent !== AGENT ? 'solved, no agent' : 'solved';
}

function said(outcome: SubmitOutcome | PollOutcome): string {
  if (outcome.kind === 'refused') return `refused: ${outcome.class}`;
  return 'cause' in outcome ? `${outcome.kind}: ${outcome.cause}` : outcome.kind;
}

const QUICKLY = VARIANTS.filter(([name, value]) => name !== SLOWLY[0] || value !== SLOWLY[1]);

describe.each(DIALECTS)('of the provider in the dialect %s', (dialect) => {
  test('every type is solved and paid for once', async () => {
    const { found, accepted, paid } = await outcomes(dialect, {});
    expect(found).toEqual(expectedOutcomes(dialect));
    expect(paid).toBe(accepted);
  });

  test.each(QUICKLY)('with %s=%s every type comes to its end and is paid for once', async (name, value) => {
    const { found, accepted, paid } = await outcomes(dialect, { [name]: value });
    expect(found).toEqual(expectedOutcomes(dialect, `${name}=${value}`));
    if (!name.startsWith('ids')) expect(paid).toBe(accepted);
  });
});

describe('a provider that does not read the key from a body', () => {
  const v2 = KINDS['v2'] as Kind;
  test('is polled by GET once it refuses three polls and accepts a submission between them; this is said once', async () => {
    const simulator = await startSimulator({ answerAfterMs: 5, switches: { pollVerb: 'queryOnly' } });
    closers.push(() => simulator.stop());
    let said = 0;
    const client = createProviderClient({ baseUrl: simulator.url, hooks: { onPollByGet: () => (said += 1) } });
    closers.push(() => client.close());
    const submit = (): Promise<SubmitOutcome> => client.submit({ apiKey: KEY, spec: v2.captcha }, timeout);
    const first = await submit();
    const captchaID = first.kind === 'accepted' ? first.captchaID : '';
    const poll = (): Promise<PollOutcome> => client.poll({ apiKey: KEY, captchaID, captcha: v2.captcha }, timeout);
    expect([await poll(), await poll()]).toMatchObject([{ class: 'keyRejected' }, { class: 'keyRejected' }]);
    await submit();
    expect(await poll()).toMatchObject({ class: 'keyRejected' });
    expect(said).toBe(1);
    const answer = await waitUntil('an answer', async () => {
      const outcome = await poll();
      return outcome.kind === 'pending' ? undefined : outcome;
    });
    expect(answer).toMatchObject({ kind: 'solved', value: v2.value(captchaID) });
    expect(said).toBe(1);
  });
});
