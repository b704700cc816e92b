/**
 * `kubectl captcha` against a scripted API server: which requests it makes, what it prints where, and how it ends. The
 * real kubectl, API server and operator are in test/cluster/kubectl-captcha.test.ts.
 */
import { existsSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { aTask } from '../support/builders.ts';
import { cli, writeKubeconfig, type CliOptions, type CliRun } from '../support/cli.ts';
import { aLetter, NEW_LETTER } from '../support/letters.ts';
import { answer, startScriptedApi, type ScriptedApi, type ScriptedRequest } from '../support/scripted-api.ts';

type Turn = (response: ServerResponse, request: ScriptedRequest) => void;

let api: ScriptedApi;
let scratch: string;
let kubeconfig: string;
/** What the server does with each request, in order; one beyond the script is refused, which no test expects. */
let script: Turn[];

beforeEach(async () => {
  script = [];
  api = await startScriptedApi((request, response) => {
    const turn = script.shift() ?? refusal(418, 'NotInTheScript');
    turn(response, request);
  });
  scratch = await mkdtemp(join(tmpdir(), 'cli-'));
  kubeconfig = await writeKubeconfig(scratch, api.server);
});

afterEach(async () => {
  await api.close();
  await rm(scratch, { recursive: true, force: true });
});

const run = (line: string, options?: CliOptions): Promise<CliRun> => cli(kubeconfig, line.split(' '), options);
const asked = (): string[] =>
  api.requests.map(
    ({ method, path, query }) =>
      `${method} ${path.split('/').slice(-2).join('/')}${query.has('watch') ? ' watch' : ''}`,
  );

const give =
  (status: number, body: object): Turn =>
  (response) =>
    answer(response, status, body);
const refusal = (code: number, reason: string, details: object = {}): Turn =>
  give(code, { kind: 'Status', status: 'Failure', code, reason, message: `${reason} said the server`, details });
const listOf = (...items: object[]): Turn => give(200, { metadata: { resourceVersion: '10' }, items });

/** Sends the events and leaves the watch open. */
const watchOf =
  (...events: object[]): Turn =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const object of events) response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
  };

/** A later state is a later version. */
const version = (task: CaptchaTask, resourceVersion: string): CaptchaTask => ({
  ...task,
  metadata: { ...task.metadata, resourceVersion },
});
const NEW = aTask().build();
const RUNNING = version(aTask().intended().submitted().build(), '11');
const SOLVED = version(aTask().intended().submitted().solved(undefined, { value: 'the-solution' }).build(), '12');
const FAILED = version(aTask().intended().failed().build(), '12');
const SOLVE = 'solve turnstile --site-key 0x4A --page-url https://a.example --name login';

describe('solve', () => {
  test('prints the solution alone on stdout, and what happens on stderr', async () => {
    script = [give(201, NEW), listOf(NEW), watchOf(RUNNING, SOLVED)];
    const { code, stdout, stderr } = await run(SOLVE);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'the-solution\n' });
    expect(stderr.split('\n')).toEqual([
      'captchatask/login created in shop',
      expect.stringMatching(/^AwaitingCallback: /),
      expect.stringMatching(/^Solved: /),
      '',
    ]);
  });

  test('creates the task that the flags say, in the namespace of the context', async () => {
    script = [give(201, NEW), listOf(SOLVED)];
    await run(`${SOLVE} --secret s --backoff-limit 1`);
    expect(api.requests[0]?.path).toBe('/apis/captcha-operator.io/v1alpha1/namespaces/shop/captchatasks');
    expect(JSON.parse(api.requests[0]?.body ?? '')).toEqual({
      apiVersion: 'captcha-operator.io/v1alpha1',
      kind: 'CaptchaTask',
      metadata: { name: 'login', namespace: 'shop' },
      spec: {
        captcha: { type: 'Turnstile', turnstile: { siteKey: '0x4A', pageURL: 'https://a.example' } },
        backoffLimit: 1,
        solutionSecretName: 's',
      },
    });
  });

  test('ends with 1 by the event that shows the failure, while the watch goes on, and asks nothing more', async () => {
    script = [give(201, NEW), listOf(NEW), watchOf(RUNNING, FAILED)];
    const { code, stdout, stderr } = await run(`${SOLVE} --timeout 1h`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('captchatask/login failed: ProviderRejected');
    expect(asked()).toEqual(['POST shop/captchatasks', 'GET default/captchatasks', 'GET default/captchatasks watch']);
  });

  test('says it in JSON, failed or solved, and nothing else on stdout', async () => {
    script = [give(201, NEW), listOf(SOLVED)];
    expect(JSON.parse((await run(`${SOLVE} -o json`)).stdout)).toMatchObject({
      kind: 'solved',
      name: 'login',
      value: 'the-solution',
    });
    script = [give(201, NEW), listOf(FAILED)];
    expect(JSON.parse((await run(`${SOLVE} -o json`)).stdout)).toMatchObject({
      kind: 'failed',
      reason: 'ProviderRejected',
    });
  });

  test('takes a task of the same name and captcha for its own, another for none', async () => {
    const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4A', pageURL: 'https://a.example' } } as const;
    const same = aTask().spec({ captcha }).build();
    script = [refusal(409, 'AlreadyExists'), give(200, same), listOf(SOLVED)];
    expect(await run(SOLVE)).toMatchObject({ code: 0, stdout: 'the-solution\n' });
    script = [refusal(409, 'AlreadyExists'), give(200, NEW)];
    expect(await run(SOLVE)).toMatchObject({ code: 1, stderr: expect.stringContaining('choose another --name') });
  });

  test('creates nothing, so pays for nothing, while its timeout cannot be read', async () => {
    script = [give(201, NEW)];
    const { code, stderr } = await run(`${SOLVE} --timeout soon`);
    expect({ code, asked: asked() }).toEqual({ code: 2, asked: [] });
    expect(stderr).toBe('--timeout takes a duration, as 90s, 10m or 1h; see kubectl captcha solve Turnstile --help\n');
  });

  test('ends with 4 when its time is over, and says how to come back', async () => {
    script = [give(201, NEW), listOf(RUNNING), watchOf()];
    const { code, stderr } = await run(`${SOLVE} --timeout 200ms`);
    expect(code).toBe(4);
    expect(stderr).toContain('the task goes on; kubectl captcha wait login -n default');
  });

  test('ends with 130 on Ctrl-C, and does not touch the task', async () => {
    const stopping = new AbortController();
    script = [give(201, NEW), listOf(NEW), watchOf(RUNNING)];
    const onText = (text: string): void => {
      if (text.startsWith('AwaitingCallback')) stopping.abort();
    };
    expect(await run(SOLVE, { signal: stopping.signal, onText })).toMatchObject({ code: 130, stdout: '' });
    expect(api.requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'GET']);
  });

  test('ends with 3 where the cluster refuses, and with 2 where the API server refuses a field', async () => {
    script = [refusal(403, 'Forbidden')];
    expect(await run(SOLVE)).toMatchObject({ code: 3, stderr: expect.stringContaining('Forbidden (403)') });
    script = [refusal(422, 'Invalid')];
    expect(await run(SOLVE)).toMatchObject({ code: 2, stderr: expect.stringContaining('Invalid (422)') });
  });

  test('sends what files hold, and says which cannot be read', async () => {
    script = [give(201, NEW), listOf(SOLVED)];
    await run('solve image --file a.png', { files: { 'a.png': 'hi' } });
    expect(JSON.parse(api.requests[0]?.body ?? '')).toHaveProperty('spec.captcha.image.body', 'aGk=');
    expect(await run('solve image --file b.png')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('b.png cannot be read (ENOENT)'),
    });
  });

  test('gives each task a name of its own where none is said', async () => {
    script = [give(201, NEW), listOf(SOLVED), give(201, NEW), listOf(SOLVED)];
    for (let round = 0; round < 2; round++) await run('solve turnstile --site-key a --page-url https://a.example');
    const names = api.requests
      .filter(({ method }) => method === 'POST')
      .map(({ body }) => (JSON.parse(body) as CaptchaTask).metadata.name);
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(/^solve-turnstile-[0-9a-f]{8}$/);
  });

  test('deletes its task where that was asked for, after a solution and not after a failure', async () => {
    script = [give(201, NEW), listOf(SOLVED), give(200, {})];
    await run(`${SOLVE} --delete`);
    script = [give(201, NEW), listOf(FAILED)];
    await run(`${SOLVE} --delete`);
    expect(api.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
  });
});

describe('wait', () => {
  test('waits for a task that exists', async () => {
    script = [give(200, RUNNING), listOf(RUNNING), watchOf(SOLVED)];
    expect(await run('wait login --quiet')).toEqual({ code: 0, stdout: 'the-solution\n', stderr: '' });
  });

  test('ends with 1 at once for one that does not, that failed, or that is deleted meanwhile', async () => {
    script = [refusal(404, 'NotFound', { name: 'login', kind: 'captchatasks' })];
    expect(await run('wait login')).toMatchObject({ code: 1, stderr: 'there is no captchatask/login in shop\n' });
    script = [give(200, FAILED), listOf(FAILED)];
    expect(await run('wait login')).toMatchObject({ code: 1 });
    script = [give(200, RUNNING), listOf()];
    expect(await run('wait login')).toMatchObject({ code: 1, stderr: 'captchatask/login was deleted\n' });
  });
});

const page = (name: string, token?: string): Turn =>
  give(200, {
    metadata: { resourceVersion: '1', continue: token },
    items: [aTask().named(name).waiting('ProviderBusy').build()],
  });

describe('list', () => {
  test('reads every page of what is open', async () => {
    script = [page('one', 'more'), page('two')];
    const { code, stdout } = await run('list');
    expect(code).toBe(0);
    expect(stdout).toMatch(/one .*ProviderBusy[\s\S]*two .*ProviderBusy/);
    expect(api.requests.map(({ query }) => query.get('continue'))).toEqual([null, 'more']);
    expect(api.requests[0]?.query.get('fieldSelector')).toBe('status.phase!=Solved,status.phase!=Failed');
  });

  test('goes on where a long list expired, with the token of the newer state', async () => {
    const gone = { kind: 'Status', code: 410, reason: 'Expired', metadata: { continue: 'fresh' } };
    script = [
      give(200, { metadata: { resourceVersion: '1', continue: 'old' }, items: [NEW] }),
      give(410, gone),
      listOf(),
    ];
    expect(await run('list')).toMatchObject({ code: 0, stdout: expect.stringContaining('login') });
    expect(api.requests.at(-1)?.query.get('continue')).toBe('fresh');
  });

  test('asks for finished ones and for every namespace where that was said', async () => {
    script = [listOf(SOLVED)];
    const { stdout } = await run('list -A --finished -o json');
    expect(api.requests[0]?.path).toBe('/apis/captcha-operator.io/v1alpha1/captchatasks');
    expect(JSON.parse(stdout)).toMatchObject([{ namespace: 'default', name: 'login', phase: 'Solved' }]);
    expect(stdout).not.toContain('the-solution');
  });

  test('ends with 3 where it may not look', async () => {
    script = [refusal(403, 'Forbidden')];
    expect(await run('list')).toMatchObject({ code: 3, stdout: '' });
  });
});

describe('top', () => {
  test('looks once where stdout is no terminal', async () => {
    script = [listOf(aTask().waiting('ProviderBusy').build())];
    expect(await run('top')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^REASON +TASKS +OLDEST\n/) });
  });

  test('looks again and again on a terminal, until Ctrl-C, which is no fault', async () => {
    const stopping = new AbortController();
    script = [listOf(), listOf(), listOf()];
    let looks = 0;
    const onText = (): void => {
      looks += 1;
      if (looks === 3) stopping.abort();
    };
    expect(await run('top --interval 1ms', { isTTY: true, signal: stopping.signal, onText })).toMatchObject({
      code: 0,
    });
    expect(looks).toBe(3);
  });
});

describe('redrive', () => {
  const letter = aLetter().introduced().build();
  const resolved = { ...letter, status: { ...letter.status, phase: 'Resolved' } };

  test('gives each letter that is named a new value of its annotation', async () => {
    script = [give(200, letter), give(200, letter)];
    expect(await run(`redrive ${NEW_LETTER}`)).toMatchObject({ code: 0, stdout: expect.stringContaining('redriven') });
    expect(api.requests[1]).toMatchObject({ method: 'PATCH' });
    expect(api.requests[1]?.body).toMatch(/"captcha-operator.io\/retry":"\d{4}-/);
  });

  test('leaves a resolved letter alone and says so, and goes on with the others', async () => {
    script = [give(200, resolved), refusal(404, 'NotFound', { name: 'b', kind: 'deadletters' })];
    const { code, stderr } = await run('redrive a b');
    expect(code).toBe(1);
    expect(stderr).toContain(`deadletter/a not redriven: it is resolved`);
    expect(stderr).toContain('deadletter/b not redriven: there is none in shop');
  });

  test('with --all takes what is pending or abandoned, and no other', async () => {
    const abandoned = {
      ...letter,
      metadata: { ...letter.metadata, name: 'given-up' },
      status: { ...letter.status, phase: 'Abandoned' },
    };
    script = [listOf(resolved, abandoned, letter), give(200, abandoned), give(200, letter)];
    const { stdout } = await run('redrive --all -o json');
    expect(JSON.parse(stdout)).toEqual([
      { namespace: 'default', name: 'given-up', redriven: true },
      { namespace: 'default', name: NEW_LETTER, redriven: true },
    ]);
    expect(stdout).not.toContain('solution-a');
  });
});

test('a kubeconfig that is not there ends with 3 and says where it looked', async () => {
  const { code, stderr } = await run('list --kubeconfig /absent/config');
  expect({ code, stderr }).toEqual({ code: 3, stderr: 'no kubeconfig could be read at /absent/config\n' });
});

describe('completion', () => {
  test('offers the names of what is open, and nothing where the cluster does not answer', async () => {
    script = [listOf(aTask().named('login').build(), aTask().named('search').build())];
    expect(await cli(kubeconfig, ['__complete', 'wait', 'lo'])).toEqual({ code: 0, stdout: 'login\n:4\n', stderr: '' });
    script = [refusal(403, 'Forbidden')];
    expect(await cli(kubeconfig, ['__complete', 'redrive', ''])).toEqual({ code: 0, stdout: ':4\n', stderr: '' });
    expect(await cli('/absent', ['__complete', 'wait', ''])).toEqual({ code: 0, stdout: ':4\n', stderr: '' });
  });

  test('prints a script that works in a real bash', async () => {
    const program = join(import.meta.dirname, '../../src/bin/kubectl-captcha.ts');
    const shim = `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`;
    await writeFile(join(scratch, 'kubectl-captcha'), shim, { mode: 0o755 });
    const text = `source <(kubectl-captcha completion bash)
COMP_WORDS=(kubectl-captcha solve turn); COMP_CWORD=2; _kubectl_captcha; echo "\${COMPREPLY[*]}"
COMP_WORDS=(kubectl-captcha ''); COMP_CWORD=1; _kubectl_captcha; echo "\${#COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', text], {
      env: { PATH: `${scratch}:${process.env['PATH']}` },
    });
    expect(stdout).toBe('Turnstile\n7\n');
  });

  const fish = (process.env['PATH'] ?? '').split(':').some((place) => existsSync(join(place, 'fish')));
  test.skipIf(!fish)('prints one that works in a real fish, and offers files only where a flag takes one', async () => {
    const program = join(import.meta.dirname, '../../src/bin/kubectl-captcha.ts');
    const shim = `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`;
    await writeFile(join(scratch, 'kubectl-captcha'), shim, { mode: 0o755 });
    await writeFile(join(scratch, 'tile.png'), '');
    const text = `kubectl-captcha completion fish | source
complete -C "kubectl-captcha solve turn" | string split -f1 \\t
complete -C "kubectl-captcha list -o " | string split -f1 \\t
complete -C "kubectl-captcha solve Image --file t" | string split -f1 \\t
true`;
    const { stdout } = await promisify(execFile)('fish', ['-N', '-c', text], {
      cwd: scratch,
      env: { PATH: `${scratch}:${process.env['PATH']}`, HOME: scratch },
    });
    expect(stdout).toBe('Turnstile\njson\ntile.png\n');
  });
});

const doctor = async (answers: (path: string) => [status: number, body: object]): Promise<CliRun> => {
  api.handle((request, response) => answer(response, ...answers(request.path)));
  return run('doctor -o json');
};

describe('doctor', () => {
  const forbidden = { kind: 'Status', code: 403, reason: 'Forbidden', message: 'not you' };

  test('asks for the metadata of Secrets only, and changes nothing', async () => {
    const absent = { kind: 'Status', code: 404, reason: 'NotFound', details: { name: 'captcha-operator' } };
    await doctor((path) => {
      if (path.includes('/secrets/')) return [200, { metadata: { name: 'a' } }];
      return path.startsWith('/apis/ap') ? [404, absent] : [200, { metadata: { resourceVersion: '1' }, items: [] }];
    });
    const secrets = api.requests.filter(({ path }) => path.includes('/secrets/'));
    expect(secrets.length).toBeGreaterThan(1);
    expect(secrets.filter(({ headers }) => headers.accept?.includes('as=PartialObjectMetadata') !== true)).toEqual([]);
    const writes = api.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('accessreviews'));
    expect(writes).toEqual([]);
  });

  test('without any right says what it may not see, and finds no fault in it', async () => {
    const { code, stdout } = await doctor(() => [403, forbidden]);
    const levels = (JSON.parse(stdout) as { id: string; level: string }[]).filter(({ id }) => id !== 'my-rights');
    expect(levels.length).toBeGreaterThan(6);
    expect(levels.filter(({ level }) => level !== 'unseen')).toEqual([]);
    expect(code).toBe(0);
  });

  test('ends with 3 where the API server does not answer, and names it', async () => {
    await api.close();
    const { code, stdout, stderr } = await run('doctor');
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain(`${api.server} cannot be looked at: Unreachable`);
    api = await startScriptedApi((_request, response) => response.end());
  });
});
