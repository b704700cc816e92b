/**
 * `kubectl captcha` as its users run it: the real kubectl finds the program on the PATH, and a real operator solves, fails
 * and keeps what it is asked for.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endOf, type Ended } from '../support/child.ts';
import { access } from '../support/cluster.ts';
import { ROOT } from '../support/kubectl.ts';
import { pageOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'kubectl-captcha-'));
  const program = `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'src/bin/kubectl-captcha.ts')} "$@"\n`;
  await writeFile(join(scratch, 'kubectl-captcha'), program, { mode: 0o755 });
  const completer = program.replace('kubectl-captcha.ts', 'kubectl-complete-captcha.ts');
  await writeFile(join(scratch, 'kubectl_complete-captcha'), completer, { mode: 0o755 });
  world = await startWorld();
});

afterAll(async () => {
  await world?.stop();
  await rm(scratch, { recursive: true, force: true });
});

interface Running {
  child: ChildProcess;
  stderr(): string;
  ended: Promise<Ended>;
}

function start(...args: string[]): Running {
  return startKubectl('captcha', ...args);
}

function startKubectl(...args: string[]): Running {
  const PATH = [scratch, dirname(process.execPath), process.env['PATH']].join(delimiter);
  const env = { PATH, HOME: scratch, KUBECONFIG: access.adminKubeconfig };
  const child = spawn(access.kubectl, args, { env });
  let stderr = '';
  const ended = endOf(child);
  child.stderr.on('data', (text: string) => (stderr += text));
  return { child, stderr: () => stderr, ended };
}

const captcha = (...args: string[]): Promise<Ended> => start(...args, '-n', world.namespace).ended;
const solve = (name: string, ...args: string[]): Promise<Ended> =>
  captcha(
    'solve',
    'turnstile',
    '--site-key',
    '0x4A',
    '--page-url',
    pageOf(world.namespace, name),
    '--name',
    name,
    ...args,
  );

describe('kubectl captcha solve', () => {
  test('prints the solution alone, pays once, and asked again pays nothing', async () => {
    const { code, stdout, stderr } = await solve('solved');
    const { status } = await world.task('solved');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${status?.solution?.value}\n` });
    expect(stderr).toContain('captchatask/solved created');
    expect(await solve('solved', '--quiet')).toMatchObject({ code: 0, stdout, stderr: '' });
    expect(await world.paid('solved')).toBe(1);
  });

  test('ends with 1 and the reason when the task fails, long before its timeout', async () => {
    const script = { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] };
    await world.simulator.control.script(script, { field: 'pageurl', equals: pageOf(world.namespace, 'failed') });
    // The test's own bound is a fraction of this hour: only the event of the failure can have ended it.
    const { code, stdout, stderr } = await solve('failed', '--timeout', '1h');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('captchatask/failed failed: ProviderRejected (ERROR_BAD_TOKEN_OR_PAGEURL): ');
    expect(JSON.parse((await captcha('wait', 'failed', '-o', 'json')).stdout)).toMatchObject({
      kind: 'failed',
      reason: 'ProviderRejected',
      code: 'ERROR_BAD_TOKEN_OR_PAGEURL',
    });
  });

  test('reads the solution from the Secret where it went', async () => {
    const { code, stdout } = await solve('secret', '--secret', 'secret-solution');
    expect(code).toBe(0);
    expect((await world.task('secret')).status?.solution).toMatchObject({ secretRef: { name: 'secret-solution' } });
    expect(stdout).toMatch(/^\S+\n$/);
  });

  test('says in the words of the API server what it refuses', async () => {
    const { code, stderr } = await captcha(
      'solve',
      'turnstile',
      '--site-key',
      'two words',
      '--page-url',
      'ftp://a.example',
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/spec\.captcha\.turnstile\.(siteKey|pageURL)/);
    expect(stderr).not.toContain('two words');
  });

  test('interrupted leaves the task as it is, and wait takes it up', async () => {
    const page = pageOf(world.namespace, 'slow');
    await world.simulator.control.script({ tasks: [{ solveAfterMs: 3_000 }] }, { field: 'pageurl', equals: page });
    const line = [
      'solve',
      'turnstile',
      '--site-key',
      '0x4A',
      '--page-url',
      page,
      '--name',
      'slow',
      '-n',
      world.namespace,
    ];
    const running = start(...line);
    await waitUntil('it to be submitted', () => running.stderr().includes('AwaitingCallback'));
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({
      code: 130,
      stdout: '',
      stderr: expect.stringContaining('kubectl captcha wait slow'),
    });
    const { code, stdout } = await captcha('wait', 'slow', '--quiet');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${(await world.task('slow')).status?.solution?.value}\n` });
    expect(await world.paid('slow')).toBe(1);
  });
});

describe('kubectl captcha list', () => {
  test('shows what is open and why, and the finished only where that is asked for', async () => {
    await world.apply('keyless', { spec: { apiKeySecretRef: { name: 'absent', key: 'api-key' } } });
    await world.until(
      'keyless',
      'waits for its key',
      ({ status }) => status?.conditions?.[0]?.reason === 'MissingAPIKey',
    );
    const { code, stdout } = await captcha('list');
    expect(code).toBe(0);
    expect(stdout.split('\n')[1]).toMatch(/^keyless +Turnstile +Pending +MissingAPIKey +\d+s /);
    expect(stdout).not.toContain('solved');
    const all = JSON.parse((await captcha('list', '--finished', '-o', 'json')).stdout) as {
      name: string;
      phase: string;
    }[];
    expect(all.find(({ name }) => name === 'solved')?.phase).toBe('Solved');
    expect((await captcha('top')).stdout).toMatch(/MissingAPIKey +1 +\d+s/);
  });
});

describe('kubectl captcha redrive', () => {
  test('retries a letter at once, after its cause is gone', async () => {
    await world.createSecret('blocked-solution', { value: 'not ours' });
    await world.apply('blocked', { spec: { solutionSecretName: 'blocked-solution' } });
    const letter = await waitUntil('a letter', async () =>
      (await world.letters()).find(({ spec }) => spec.taskRef.name === 'blocked'),
    );
    await world.deleteSecret('blocked-solution');
    const { code, stdout } = await captcha('redrive', letter.metadata.name);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `deadletter/${letter.metadata.name} redriven in ${world.namespace}\n`,
    });
    await world.untilPhase('blocked', 'Solved');
    const resolved = await waitUntil('the letter to be resolved', async () =>
      (await world.letters()).find(({ status }) => status?.phase === 'Resolved'),
    );
    expect(resolved.status?.redrives).toBe(1);
    expect(await captcha('redrive', letter.metadata.name)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it is resolved'),
    });
    expect(await captcha('redrive', '--all')).toMatchObject({ code: 0, stderr: 'no letter is pending or abandoned\n' });
  });
});

describe("kubectl's own completion", () => {
  test('asks the plugin for its words, and gets the names of what is open', async () => {
    const types = await startKubectl('__complete', 'captcha', 'solve', 'turn').ended;
    expect(types.stdout).toBe('Turnstile\tCloudflare Turnstile.\n:4\n');
    const names = await startKubectl('__complete', 'captcha', 'wait', '-n', world.namespace, 'key').ended;
    expect(names.stdout).toBe('keyless\tPending\n:4\n');
  });
});
