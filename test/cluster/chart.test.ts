/**
 * The real Helm installs, upgrades, rolls back and uninstalls the chart on a real API server, in a control plane of its
 * own. No pods run here; `helm test` needs them. test/contract/chart.test.ts looks at what the chart makes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureHelm } from '../../dev/helm/index.ts';
import { startBarePlane, type BarePlane } from '../support/bare-plane.ts';
import { CHART, helmFor, type Helm } from '../support/helm.ts';
import { outputOf, type Kubectl } from '../support/kubectl.ts';
import { waitUntil } from '../support/wait-until.ts';

const NAMESPACE = ['--namespace', 'captcha-system'];
let plane: BarePlane;
let helm: Helm;
let kubectl: Kubectl;

beforeAll(async () => {
  const program = await ensureHelm({ log: () => {}, env: process.env });
  plane = await startBarePlane();
  ({ kubectl } = plane);
  helm = helmFor(program, plane.scratch, plane.controlPlane.adminKubeconfig);
});

afterAll(async () => {
  await plane?.stop();
});

/** What Helm said; anything on stderr is a warning too many. */
async function run(args: string[], values?: object): Promise<string> {
  const { code, stdout, stderr } = await helm([...args, ...NAMESPACE], values);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

function get(what: string, path: string): Promise<string> {
  return outputOf(kubectl(['get', what, ...NAMESPACE, '-o', `jsonpath=${path}`]));
}

function replicas(): Promise<string> {
  return get('deployment/captcha-operator', '{.spec.replicas}');
}

describe('Helm on a real API server', () => {
  test('installs, upgrades, rolls back and uninstalls, and leaves the definitions with their tasks', async () => {
    const notes = await run(['install', 'captcha-operator', CHART, '--create-namespace']);
    expect(notes).toContain('Every task is polled');
    expect(await replicas()).toBe('2');
    await waitUntil('a task to be accepted', async () => {
      return (await kubectl(['create', '-f', 'examples/task.yaml'])).code === 0;
    });
    const settings = { CALLBACK_URL: 'https://captcha.example.com' };
    expect(await run(['upgrade', 'captcha-operator', CHART], { replicas: 3, settings })).toContain('callback-keys');
    expect(await replicas()).toBe('3');
    await run(['rollback', 'captcha-operator', '1']);
    expect(await replicas()).toBe('2');
    await run(['uninstall', 'captcha-operator']);
    expect(await outputOf(kubectl(['get', 'ctask', '-o', 'name']))).toContain('captchatask.captcha-operator.io/login');
    const left = ['deploy,sts,svc,cm,sa,role,rolebinding,netpol,pdb', ...NAMESPACE, '-o', 'name'];
    expect(await outputOf(kubectl(['get', ...left]))).not.toMatch(/captcha-operator/);
    const cluster = await outputOf(
      kubectl(['get', 'clusterrole,clusterrolebinding,validatingadmissionpolicy', '-o', 'name']),
    );
    expect(cluster).not.toContain('captcha-operator');
  });

  test('takes over what an overlay installed, definitions and running pods alike', async () => {
    await waitUntil('the overlay to be applied', async () => {
      return (await kubectl(['apply', '-k', 'deploy/overlays/cluster-wide'])).code === 0;
    });
    const uid = await get('deployment/captcha-operator', '{.metadata.uid}');
    const overlay = await outputOf(kubectl(['get', 'cm', ...NAMESPACE, '-o', 'name']));
    await run(['install', 'captcha-operator', CHART, '--take-ownership', '--force-conflicts']);
    expect(await get('deployment/captcha-operator', '{.metadata.uid}')).toBe(uid);
    expect(overlay).toMatch(/captcha-operator-settings-\w{10}/);
    expect(await get('cm/captcha-operator-settings', '{.data.LOG_LEVEL}')).toBe('info');
  });
});
