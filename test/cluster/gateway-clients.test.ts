/**
 * Unmodified clients of the protocol family, their base URL changed and nothing else, solve every type they know through
 * gateway, operator, sidecar and simulator on a real API server.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA, type Call } from '../clients/calls.ts';
import type { ClientName } from '../clients/run.ts';
import { AGENT } from '../clients/values.ts';
import { pythonOrReason, startGatewayWorld, type GatewayWorld, type Solve } from '../support/gateway-world.ts';

const python = await pythonOrReason();
const unless = 'missing' in python ? ` (skipped: ${python.missing})` : '';

/** The family as it is, but for how the operator asks for GeeTest v4. */
const FAMILY = { dialect: 'family', switches: { geetestV4: 'version' }, answerAfterMs: 300 } as const;
const OFFICIAL_PROVIDER = { dialect: 'official', answerAfterMs: 300 } as const;

/** Text as it is, JSON as what it says: clients differ in whether they parse it. */
function meaning(value: unknown): unknown {
  if (typeof value !== 'string' || !/^[[{]/.test(value)) return value;
  return JSON.parse(value) as unknown;
}

function valueOf(task: Solve['task']): string | undefined {
  return task?.status?.solution?.value;
}

/** Where each client has its answer. */
const FIELDS: Readonly<Record<ClientName, string>> = {
  captchaai: 'solution',
  '2captcha-python': 'code',
  'solvecaptcha-python': 'code',
  '@2captcha/captcha-solver': 'data',
};

function judge(
  client: ClientName,
  calls: readonly Call[],
  simulator: Parameters<typeof startGatewayWorld>[0]['simulator'],
): void {
  let world: GatewayWorld;
  let solves: Solve[] = [];
  const of = (name: string): Solve => {
    const found = solves.find(({ call }) => call.name === name);
    if (found === undefined) throw new Error(`${name} was not called`);
    return found;
  };
  beforeAll(async () => {
    world = await startGatewayWorld({ simulator });
    solves = await world.solve(client);
  });
  afterAll(() => world?.stop());

  test.each(calls.map(({ name }) => name))('solves %s, paid once', (name) => {
    const { answer, task, paid } = of(name);
    expect(answer.error).toBeUndefined();
    const value = valueOf(task);
    expect(meaning(answer.result?.[FIELDS[client]])).toEqual(meaning(value));
    expect(paid).toHaveLength(1);
    expect(value).toMatch(SHAPES[name] ?? /^03token-\d+_AbC-dEf\+gHi\/jKl=$/);
  });

  test('makes a task of its own type wherever there is one', () => {
    const own = solves.filter(({ call }) => call.spec !== undefined);
    expect(own.length).toBeGreaterThan(9);
    for (const { call, task } of own) expect(task?.spec.captcha).toEqual(call.spec);
  });

  test('leaves no task behind that nobody asked for', async () => {
    const names = solves.map(({ task }) => task?.metadata.name);
    expect((await world.tasks()).map(({ metadata }) => metadata.name).filter((name) => !names.includes(name))).toEqual(
      [],
    );
  });

  if (client !== 'captchaai') return;
  test('tells the official client the agent of those answers that are bound to one', () => {
    const told = solves.filter(({ answer }) => typeof answer.result?.['user_agent'] === 'string');
    const bound = ['reCAPTCHA v2 Enterprise', 'reCAPTCHA v3 Enterprise', 'Cloudflare Challenge', 'CaptchaFox'];
    expect(told.map(({ call }) => call.name)).toEqual(bound);
    expect(of('Cloudflare Challenge').answer.result?.['user_agent']).toBe(AGENT);
  });
}

/** What the simulator solves a type with; a token where nothing is said. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  Image: /^text\d{6}$/,
  'Image as a file': /^text\d{6}$/,
  coordinates: /^text\d{6}$/,
  'question in words': /\d{6}/,
  Grid: /^\[1,4,7\]$/,
  canvas: /1\/4\/7|1, ?4, ?7/,
  BLS: /^\[1,4,7,8\]$/,
  CaptchaFox: /^fox-token-/,
  Lemin: /"challenge_uuid":"uuid-/,
  'GeeTest v3': /^\{"challenge":"/,
  'GeeTest v4': /^\{"captcha_id":"/,
  'Cloudflare Challenge': /^clearance-/,
};

const FILE = '/tmp/captcha.gif';
describe.skipIf(unless !== '')(`captchaai${unless}`, () => judge('captchaai', OFFICIAL, OFFICIAL_PROVIDER));
describe.skipIf(unless !== '')(`2captcha-python${unless}`, () => judge('2captcha-python', TWOCAPTCHA(FILE), FAMILY));
describe.skipIf(unless !== '')(`solvecaptcha-python${unless}`, () =>
  judge('solvecaptcha-python', SOLVECAPTCHA(FILE), FAMILY),
);
describe('@2captcha/captcha-solver', () => judge('@2captcha/captcha-solver', NPM, FAMILY));
