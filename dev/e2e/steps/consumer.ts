/**
 * The package of the client as somebody has it who installs it: a program of ten lines in a pod that has its ServiceAccount
 * and nothing else, and `kubectl captcha doctor`, as kubectl's plugin and from inside the cluster.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { pageOf } from '../load.ts';
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from '../provider.ts';
import { ROOT, TASKS, read, type Stage } from '../stage.ts';
import { API_VERSION } from '../../../src/api/names.ts';
import type { CaptchaTask } from '../../../src/api/captchatask.ts';

const BATCH = 'program';
const PROGRAM = 'captcha-program';
const DOCTOR = 'captcha-e2e-doctor';
const CAPTCHA = 'node_modules/captcha-operator/lib/bin/kubectl-captcha.js';

/** examples/solve.mjs, with the account and the Role of deploy/examples/program.yaml. */
export async function solveInPod(stage: Stage): Promise<string> {
  await stage.kubectl('apply', '--namespace', TASKS, '-f', join(ROOT, 'deploy/examples/program.yaml'));
  await startPod(stage, PROGRAM);
  const args = ['solve.mjs', BATCH, '0x4AAAAAAAprogram', pageOf(BATCH)];
  const printed = (await inPod(stage, PROGRAM, args)).trim();
  const path = `/apis/${API_VERSION}/namespaces/${TASKS}/captchatasks/${BATCH}`;
  const { status } = await read<CaptchaTask>(stage, path);
  if (printed === '' || printed !== status?.solution?.value) throw new Error(`it printed: ${printed}`);
  const { submissions } = await stage.control.ledger({ field: 'pageurl', equals: pageOf(BATCH) });
  const paid = submissions.filter((one) => one.paid).length;
  if (paid !== 1) throw new Error(`it was paid for ${paid} times`);
  await stage.kubectl('-n', TASKS, 'delete', 'pod', PROGRAM, '--wait=false');
  return 'examples/solve.mjs printed the solution with nothing but its ServiceAccount, paid once';
}

/** Of an installation that nothing is wrong with: exit code 0, or this throws with what it found. */
export async function askDoctor(stage: Stage): Promise<string> {
  const project = await installPackage(stage);
  // Its callback URL is a name of the cluster's own.
  await stage.shell(`PATH="${project}/node_modules/.bin:$PATH"\nkubectl captcha doctor -A --skip-callback`);
  const account = { kind: 'ServiceAccount', name: DOCTOR, namespace: TASKS };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
  await stage.apply([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: DOCTOR, namespace: TASKS } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: DOCTOR },
      roleRef,
      subjects: [account],
    },
  ]);
  await startPod(stage, DOCTOR);
  const said = await inPod(stage, DOCTOR, [CAPTCHA, 'doctor', '-A']);
  await stage.kubectl('delete', 'clusterrolebinding', DOCTOR);
  await stage.kubectl('-n', TASKS, 'delete', 'pod', DOCTOR, '--wait=false');
  return `exit code 0 as kubectl’s plugin and in a pod; ${said.match(/^✓/gm)?.length ?? 0} things looked at there`;
}

/** Packed and installed as it is by a user, without a registry; returns the project's folder. */
async function installPackage({ shell, scratch }: Stage): Promise<string> {
  const project = join(scratch, 'consumer/project');
  const there = await access(join(project, 'solve.mjs')).then(
    () => true,
    () => false,
  );
  if (!there) await shell(`PROJECT=${project}\n${INSTALL}`);
  return project;
}

const INSTALL = `
mkdir -p "$PROJECT" "$PROJECT/../packed"
npm pack --silent --pack-destination "$PROJECT/../packed" . > /dev/null
for name in undici js-yaml argparse; do
  npm pack --silent --ignore-scripts --pack-destination "$PROJECT/../packed" ./node_modules/$name > /dev/null
done
cp examples/solve.mjs "$PROJECT"
cd "$PROJECT"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --offline --no-audit --no-fund ../packed/*.tgz
`;

async function startPod(stage: Stage, account: string): Promise<void> {
  const project = await installPackage(stage);
  const container = {
    name: 'main',
    image: stage.image,
    command: ['sleep', 'infinity'],
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'work', mountPath: '/work' }],
  };
  const spec = {
    serviceAccountName: account,
    terminationGracePeriodSeconds: 1,
    securityContext: RESTRICTED_POD,
    containers: [container],
    volumes: [{ name: 'work', emptyDir: {} }],
  };
  await stage.apply([{ apiVersion: 'v1', kind: 'Pod', metadata: { name: account, namespace: TASKS }, spec }]);
  await stage.kubectl('-n', TASKS, 'wait', '--for=condition=Ready', `pod/${account}`, '--timeout=120s');
  await stage.kubectl('-n', TASKS, 'cp', project, `${account}:/work/project`);
}

function inPod({ kubectl }: Stage, pod: string, args: readonly string[]): Promise<string> {
  return kubectl('-n', TASKS, 'exec', pod, '--', 'sh', '-c', 'cd /work/project && exec node "$@"', 'node', ...args);
}
