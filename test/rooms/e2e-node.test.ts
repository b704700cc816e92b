/** The end-to-end run where it cannot have a cluster of its own, and what takes a node's traces back when it is killed. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitUntil } from '../support/wait-until.ts';

const ROOT = join(import.meta.dirname, '../..');
const RESTORE = join(ROOT, 'dev/node/restore.sh');

let scratch: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'e2e-node-'));
});

afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await rm(scratch, { recursive: true, force: true });
});

function e2e(...args: string[]): Promise<{ code: unknown; text: string }> {
  const env = { ...process.env, CAPTCHA_OPERATOR_CACHE: scratch };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'dev/bin/e2e.ts'), ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, text: stdout + stderr });
    });
  });
}

test('with --warm it ends 3 and says why, where its programs are not built, and builds none', async () => {
  const { code, text } = await e2e('--local', '--warm');
  expect(code).toBe(3);
  expect(text).toMatch(/no cluster on this machine: \S+/);
  expect(existsSync(join(scratch, 'lock'))).toBe(false);
});

test('a wrong call ends 2', async () => {
  expect(await e2e('--minutes', 'ten')).toMatchObject({ code: 2, text: expect.stringContaining('--minutes ten') });
  expect(await e2e('--rapidly')).toMatchObject({ code: 2 });
});

/** A folder for the node, and one that looks like its cgroups. */
async function makeTraces(): Promise<{ state: string; cgroup: string }> {
  const [state, cgroup] = [join(scratch, 'state'), join(scratch, 'cgroup')];
  await mkdir(join(state, 'share'), { recursive: true });
  await mkdir(join(cgroup, 'kubepods/pod/container'), { recursive: true });
  return { state, cgroup };
}

test('the traces of a node are taken back when whoever started it is killed, and not before', async () => {
  const { state, cgroup } = await makeTraces();
  const starter = `
    const { spawn } = require('node:child_process');
    spawn(process.argv[1], process.argv.slice(2), { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    console.log('started');
    setInterval(() => {}, 1000);`;
  child = spawn(process.execPath, ['--eval', starter, RESTORE, state, '--', cgroup], { stdio: ['ignore', 'pipe', 2] });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
  await waitUntil('it to be started', () => text === 'started\n');
  expect([existsSync(state), existsSync(cgroup)]).toEqual([true, true]);
  child.kill('SIGKILL');
  await waitUntil('both to be gone', () => !existsSync(state) && !existsSync(cgroup));
});

test('a stop waits for it, also where the process has nothing else to wait for', async () => {
  const { state, cgroup } = await makeTraces();
  const stopper = `
    import { startRestoring } from ${JSON.stringify(join(ROOT, 'dev/node/machine.ts'))};
    const restore = startRestoring(${JSON.stringify([state, '--', cgroup])});
    console.log(JSON.stringify(await restore()));`;
  const ended = await new Promise<{ code: unknown; text: string }>((resolve) => {
    execFile(process.execPath, ['--input-type=module', '--eval', stopper], (error, stdout) => {
      resolve({ code: error === null ? 0 : error.code, text: stdout });
    });
  });
  expect(ended).toEqual({ code: 0, text: '[]\n' });
  expect([existsSync(state), existsSync(cgroup)]).toEqual([false, false]);
});

test('what could not be taken back is said', async () => {
  const { state, cgroup } = await makeTraces();
  const text = await new Promise<string>((resolve) => {
    const restore = execFile(RESTORE, [state, 'kernel/no-such-setting=1', '--', cgroup], (_error, stdout) => {
      resolve(stdout);
    });
    restore.stdin?.end();
  });
  expect(text).toBe('the kernel setting kernel/no-such-setting is not 1 again\n');
  expect([existsSync(state), existsSync(cgroup)]).toEqual([false, false]);
});
