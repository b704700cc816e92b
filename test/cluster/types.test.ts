/**
 * One task of every captcha type through real processes, against a provider as its own client has it and against one
 * of its family: each is solved, by its callback where that can carry the result, with the agent it is bound to, and
 * paid for once.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isHint } from '../../src/core/solution.ts';
import { DIALECTS, type Dialect } from '../../dev/simulator/switches.ts';
import { AGENT, KINDS, KIND_PROXY, isResult, type Kind } from '../support/captcha-kinds.ts';
import { startWorld, type World } from '../support/processes.ts';

interface Case {
  name: string;
  kind: Kind;
  delivery: 'Callback' | 'Poll';
}
const CASES: readonly Case[] = Object.entries(KINDS).flatMap(([name, kind]) =>
  (['Callback', 'Poll'] as const).map((delivery) => ({ name: `${name} by ${delivery}`, kind, delivery })),
);
/** The family asks for GeeTest v4 by another method, and this operator knows but one. */
const solvable = (dialect: Dialect): Case[] =>
  CASES.filter(({ kind }) => dialect === 'official' || kind.captcha.type !== 'GeeTestV4');
const objectName = ({ name }: Case): string => name.toLowerCase().replaceAll(' ', '-');
const NEED_PROXY = new Set(['CaptchaFox', 'CloudflareChallenge']);

describe.each(DIALECTS)('with a provider in the dialect %s', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ simulator: { dialect, answerAfterMs: 300 } });
    for (const one of CASES) {
      const { captcha } = one.kind;
      const proxy = NEED_PROXY.has(captcha.type) ? { proxy: KIND_PROXY } : {};
      await world.apply(objectName(one), { spec: { captcha, delivery: one.delivery, ...proxy } });
    }
  });
  afterAll(() => world?.stop());

  test.each(solvable(dialect))('$name is solved', async (one) => {
    const { captcha, agent } = one.kind;
    const { status } = await world.untilPhase(objectName(one), 'Solved', 90_000);
    const { captchaID = '', value, userAgent, source } = status?.solution ?? {};
    expect(isResult(one.kind, captchaID, value), value).toBe(true);
    if (agent === true) expect(userAgent).toBe(AGENT);
    expect(source).toBe(isHint(captcha) ? 'Poll' : one.delivery);
    expect(status?.attempts).toBe(1);
  });

  test('each is paid for once', async () => {
    expect((await world.simulator.control.totals()).paid).toBe(solvable(dialect).length);
  });
});
