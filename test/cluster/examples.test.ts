/**
 * The examples as people run them: shell, Python and Go, each its own process with the rights of
 * deploy/examples/program.yaml and no others, against a real operator and the provider simulator. Also what `kubectl
 * wait` does for a task that fails, and what Argo CD and Flux say of tasks that a real API server gave them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectOf } from '../../dev/control-plane/index.ts';
import { writeKubeconfig } from '../../dev/control-plane/identities.ts';
import { pythonFor, type Python } from '../clients/python.ts';
import { endOf, type Ended } from '../support/child.ts';
import { access, admin, corePathOf, pathOf } from '../support/cluster.ts';
import { goProgram } from '../support/go-program.ts';
import { ROOT, kubectlFor, outputOf, type Kubectl } from '../support/kubectl.ts';
import { pageOf, reasonOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const SITE_KEY = '0x4AAAAAAADnPIDROrmt1Wwj';
const PROGRAM = 'captcha-program';
const home = mkdtempSync(join(tmpdir(), 'examples-'));
let world: World;
let kubectl: Kubectl;
/** Of the ServiceAccount that the example's manifest makes. */
let kubeconfig: string;

beforeAll(async () => {
  world = await startWorld();
  kubectl = kubectlFor(access.kubectl, access.adminKubeconfig, home);
  await outputOf(kubectl(['apply', '-n', world.namespace, '-f', 'deploy/examples/program.yaml']));
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const path = corePathOf('serviceaccounts', world.namespace, PROGRAM, 'token');
  const { status } = objectOf<{ status: { token: string } }>(await admin.create(path, asked));
  kubeconfig = await writeKubeconfig(home, access, PROGRAM, status.token);
});
afterAll(async () => {
  await world?.stop();
  rmSync(home, { recursive: true, force: true });
});

function start(program: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const PATH = process.env['PATH'];
  return spawn(program, args, { cwd: ROOT, env: { PATH, HOME: home, KUBECONFIG: kubeconfig, ...env } });
}

const tasksNow = async (): Promise<number> =>
  objectOf<{ items: object[] }>(await admin.get(pathOf('captchatasks', world.namespace))).items.length;

const refuse = (name: string): Promise<void> =>
  world.simulator.control.script(
    { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] },
    { field: 'pageurl', equals: pageOf(world.namespace, name) },
  );

const REFUSED = 'ProviderRejected: The provider rejected the task (ERROR_BAD_TOKEN_OR_PAGEURL).';

describe('kubectl wait', () => {
  test('for completionTime returns when a task fails, as when it is solved', async () => {
    await refuse('fails');
    await world.apply('fails');
    await world.apply('solves');
    const recipe = ['wait', '-n', world.namespace, '--for=jsonpath={.status.completionTime}', '--timeout=60s'];
    for (const name of ['fails', 'solves']) {
      expect(await kubectl([...recipe, `ctask/${name}`])).toMatchObject({ code: 0, stderr: '' });
    }
    expect(reasonOf(await world.task('fails'))).toBe('ProviderRejected');
    // What the recipe is for: this one waits in vain for a task that is known to have failed.
    const inVain = ['wait', '-n', world.namespace, '--for=condition=Solved', '--timeout=1s', 'ctask/fails'];
    expect((await kubectl(inVain)).stderr).toContain('timed out');
  });
});

describe.each(['shell', 'python'] as const)('the example in %s', (language) => {
  let python: Python;
  beforeAll(async () => {
    if (language === 'python') python = await pythonFor('examples/python/requirements.txt', process.env);
  });

  async function solve(name: string): Promise<Ended> {
    const args = [SITE_KEY, pageOf(world.namespace, name)];
    if (language === 'shell') {
      const env = { KUBECTL: `${access.kubectl} --namespace=${world.namespace}` };
      return endOf(start('/bin/sh', ['examples/shell/solve.sh', ...args], env));
    }
    if ('missing' in python) throw new Error(python.missing);
    return endOf(start(python.path, ['examples/python/solve.py', ...args, world.namespace]));
  }

  test('prints the solution of a task of its own, and leaves nothing', async () => {
    const before = await tasksNow();
    const { code, stdout, stderr } = await solve(`${language}-solves`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\S+\n$/);
    expect(await world.paid(`${language}-solves`)).toBe(1);
    expect(await tasksNow()).toBe(before);
  });

  test('ends 1 and says why where the captcha could not be solved', async () => {
    await refuse(`${language}-fails`);
    const { code, stdout, stderr } = await solve(`${language}-fails`);
    expect({ code, stdout, stderr: stderr.trim() }).toEqual({ code: 1, stdout: '', stderr: REFUSED });
  });
});

describe('the example in Go', () => {
  let controller: ChildProcess;
  let output = '';
  beforeAll(async () => {
    const program = await goProgram('example', 'examples/go');
    controller = start(program, ['-namespace', world.namespace]);
    controller.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }, 600_000);
  afterAll(async () => {
    if (controller === undefined || controller.exitCode !== null) return;
    const end = new Promise((resolve) => controller.once('exit', resolve));
    controller.kill('SIGTERM');
    await end;
  });

  async function outcomeOf(name: string): Promise<string> {
    const path = corePathOf('configmaps', world.namespace);
    const metadata = { name, labels: { 'example.com/login': 'wanted' } };
    const data = { siteKey: SITE_KEY, pageURL: pageOf(world.namespace, name) };
    objectOf(await admin.create(path, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
    return waitUntil(`the outcome of ${name}; the controller said: ${output}`, async () => {
      const wish = objectOf<{ metadata: { annotations?: Record<string, string> } }>(await admin.get(`${path}/${name}`));
      return wish.metadata.annotations?.['example.com/login-outcome'];
    });
  }

  test('is woken by its task and writes down that it was solved, paid once', async () => {
    expect(await outcomeOf('go-solves')).toBe('solved');
    expect(await world.paid('go-solves')).toBe(1);
  });

  test('says why a task failed', async () => {
    await refuse('go-fails');
    expect(await outcomeOf('go-fails')).toBe('not solved: ProviderRejected');
  });
});
