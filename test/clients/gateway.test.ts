/**
 * The gateway's callers as they are: unmodified clients submit every type they know to a gateway in front of the model
 * of the API, where a stand-in for the operator solves each task. What they submit becomes the task that they mean, and
 * what they are told is what they return. Those that insist on https speak it with the gateway itself, whose certificate
 * they trust by the variable of the environment that each of them reads. `test/cluster/gateway-clients.test.ts` has the
 * same with everything real.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { loadCertificate, type Certificate } from '../../src/ops/certificate.ts';
import { KEY_A, startTestGateway, type GatewayUnderTest } from '../support/gateway.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-certificate.ts';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA, type Call } from './calls.ts';
import { run } from './python.ts';
import { callClient, drive, idOf, type Answer, type ClientName } from './run.ts';

const python = inject('python');
const path = 'path' in python ? python.path : '';
const unless = 'missing' in python ? ` (skipped: ${python.missing})` : '';

const JSON_RESULTS: Readonly<Record<string, string>> = {
  Grid: '[1,4,7]',
  BLS: '[1,4]',
  GeeTestV3: '{"challenge":"c","validate":"v","seccode":"s"}',
  GeeTestV4: '{"captcha_id":"c","lot_number":"l","pass_token":"p","gen_time":"1","captcha_output":"o"}',
  Lemin: '{"answer":"a","challenge_uuid":"u"}',
};

/** As the operator would, once the provider has answered. */
function solve(gateway: GatewayUnderTest): void {
  for (const task of gateway.tasks().filter(({ status }) => status?.phase === undefined)) {
    const { type, recaptchaV2, recaptchaV3 } = task.spec.captcha;
    const isBound = (recaptchaV2 ?? recaptchaV3)?.enterprise === true || /Cloudflare|Fox/.test(type);
    const solution = {
      value: JSON_RESULTS[type] ?? `token-of-${task.metadata.name}`,
      source: 'Poll',
      attempt: 1,
    } as const;
    const receivedTime = '2026-01-01T00:00:00Z';
    const agent = isBound ? { userAgent: 'Agent/1.0' } : {};
    gateway.finish(task, { phase: 'Solved', solution: { ...solution, ...agent, receivedTime } });
  }
}

const FIELDS: Readonly<Record<ClientName, string>> = {
  captchaai: 'solution',
  '2captcha-python': 'code',
  'solvecaptcha-python': 'code',
  '@2captcha/captcha-solver': 'data',
};

const meaning = (value: unknown): unknown =>
  typeof value === 'string' && /^[[{]/.test(value) ? (JSON.parse(value) as unknown) : value;

interface Place extends GatewayUnderTest {
  /** A directory of its own, with the certificate in `tls.crt`. */
  directory: string;
  tlsURL: string;
}

/** A gateway whose tasks get solved, with a certificate on loopback. */
async function startPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'captcha-gateway-clients-'));
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  await writeFile(certFile, LOOPBACK_CERTIFICATE);
  await writeFile(keyFile, LOOPBACK_KEY);
  const certificate: Certificate = await loadCertificate({ certFile, keyFile });
  const gateway = await startTestGateway({ certificate });
  const timer = setInterval(() => solve(gateway), 100);
  return {
    ...gateway,
    directory,
    tlsURL: `https://127.0.0.1:${gateway.gateway.tlsPort}`,
    async stop() {
      clearInterval(timer);
      certificate.stop();
      await gateway.stop();
      await rm(directory, { recursive: true, force: true });
      expect(gateway.crashes).toEqual([]);
    },
  };
}

function judge(client: ClientName, calls: readonly Call[]): void {
  let answers: Answer[];
  let tasks: CaptchaTask[];
  beforeAll(async () => {
    const gateway = await startPlace();
    try {
      const { url, tlsURL, directory: place } = gateway;
      ({ answers } = await callClient(client, { url, tlsURL, key: KEY_A, python: path, place }));
      tasks = gateway.tasks();
    } finally {
      await gateway.stop();
    }
  });

  test.each(calls.map(({ name }) => name))('is told the solution of %s', (name) => {
    const { result = {}, error } = answers.find((one) => one.name === name) ?? { error: 'said nothing' };
    expect(error).toBeUndefined();
    const task = tasks.find(({ metadata }) => metadata.name === `gw-${idOf(client, result)}`);
    expect(meaning(result[FIELDS[client]])).toEqual(meaning(task?.status?.solution?.value));
    const wanted = calls.find((one) => one.name === name)?.spec;
    expect(task?.spec.captcha).toEqual(wanted ?? task?.spec.captcha);
  });

  test('makes one task for each call', () => {
    expect(tasks).toHaveLength(calls.length);
  });
}

const FILE = '/tmp/captcha.gif';
describe.skipIf(path === '')(`captchaai through the gateway${unless}`, () => judge('captchaai', OFFICIAL));
describe.skipIf(path === '')(`2captcha-python through the gateway${unless}`, () =>
  judge('2captcha-python', TWOCAPTCHA(FILE)),
);
describe.skipIf(path === '')(`solvecaptcha-python through the gateway${unless}`, () =>
  judge('solvecaptcha-python', SOLVECAPTCHA(FILE)),
);
describe('@2captcha/captcha-solver through the gateway', () => judge('@2captcha/captcha-solver', NPM));

/** As docs/gateway.md has it. */
const NPM_PROGRAM = `
const { Solver } = require('@2captcha/captcha-solver');
class GatewaySolver extends Solver {
  get in() { return process.env.GATEWAY + '/in.php'; }
  get res() { return process.env.GATEWAY + '/res.php'; }
}
new GatewaySolver(process.env.GATEWAY_KEY, 100)
  .recaptcha({ googlekey: 'K', pageurl: 'https://example.com' })
  .then(({ data }) => console.log(data));
`;

describe('a client that takes any address speaks https, too, with the certificate it is told to trust', () => {
  let gateway: Place;
  beforeAll(async () => {
    gateway = await startPlace();
  });
  afterAll(() => gateway.stop());

  const solved = /^token-of-gw-\d{18}\s*$/;

  test('@2captcha/captcha-solver by NODE_EXTRA_CA_CERTS', async () => {
    const tell = (more: Record<string, string>): Promise<string> => {
      const env = { PATH: process.env['PATH'], GATEWAY: gateway.tlsURL, GATEWAY_KEY: KEY_A, ...more };
      return run(process.execPath, ['-e', NPM_PROGRAM], env);
    };
    expect(await tell({ NODE_EXTRA_CA_CERTS: join(gateway.directory, 'tls.crt') })).toMatch(solved);
    await expect(tell({})).rejects.toThrow(/self-signed/);
  });

  test.skipIf(path === '')(`captchaai by SSL_CERT_FILE${unless}`, async () => {
    const construct = { api_key: KEY_A, base_url: gateway.tlsURL };
    const plan = { module: 'captchaai', class: 'CaptchaAI', construct, calls: OFFICIAL.slice(0, 1) };
    const [trusting] = await drive(path, plan, { SSL_CERT_FILE: join(gateway.directory, 'tls.crt') });
    expect(trusting?.result?.['solution']).toMatch(solved);
    const [other] = await drive(path, plan);
    expect(other?.error).toMatch(/^NetworkError/);
  });
});
