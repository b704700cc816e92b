/**
 * The npm package as a stranger gets it: packed, installed into an empty folder with nothing but its own dependencies, and
 * used against a real control plane and operator, from a kubeconfig and as in a pod. The registry is not asked: its
 * dependencies are packed from where they are installed here.
 */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectOf } from '../../dev/control-plane/index.ts';
import { endOf, type Ended } from '../support/child.ts';
import { access, admin, corePathOf, pathOf } from '../support/cluster.ts';
import { ROOT } from '../support/kubectl.ts';
import { pageOf, startWorld, type World } from '../support/processes.ts';

let world: World;
let scratch: string;
/** A project of somebody's, with the package installed. */
let project: string;

const PATH = [dirname(process.execPath), process.env['PATH']].join(delimiter);

function run(command: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ended> {
  const [program = '', ...args] = command;
  return endOf(spawn(program, args, { cwd, env: { PATH, HOME: scratch, ...env } }));
}

async function must(command: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, cwd);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

/** The file that `npm pack` makes of a folder. Our own is built by that, as it is for a release and an install from Git. */
async function pack(folder: string, scripts: '--ignore-scripts' | '--foreground-scripts'): Promise<string> {
  const printed = await must(['npm', 'pack', '--silent', scripts, '--pack-destination', scratch], folder);
  return join(scratch, printed.trim().split('\n').at(-1) ?? '');
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'package-test-'));
  project = join(scratch, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'somebody', private: true, type: 'module' }));
  const dependencies = ['undici', 'js-yaml', 'argparse'].map((name) => join(ROOT, 'node_modules', name));
  const files = await Promise.all(dependencies.map((folder) => pack(folder, '--ignore-scripts')));
  const own = await pack(ROOT, '--foreground-scripts');
  await must(['npm', 'install', '--offline', '--no-audit', '--no-fund', own, ...files], project);
  await copyFile(join(ROOT, 'examples/solve.mjs'), join(project, 'solve.mjs'));
  world = await startWorld();
});

afterAll(async () => {
  await world?.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** The account of a pod that may do what the example says it needs; returns the folder that a kubelet would mount. */
async function podIdentity(): Promise<string> {
  const { namespace } = world;
  const [group, metadata] = ['rbac.authorization.k8s.io', { name: 'consumer' }];
  const rule = {
    apiGroups: ['captcha-operator.io'],
    resources: ['captchatasks'],
    verbs: ['create', 'get', 'list', 'watch'],
  };
  const roles = ['', 'apis', group, 'v1', 'namespaces', namespace].join('/');
  const account = { kind: 'ServiceAccount', name: 'consumer', namespace };
  const roleRef = { apiGroup: group, kind: 'Role', name: 'consumer' };
  objectOf(await admin.create(corePathOf('serviceaccounts', namespace), { metadata }));
  objectOf(await admin.create(`${roles}/roles`, { metadata, rules: [rule] }));
  objectOf(await admin.create(`${roles}/rolebindings`, { metadata, roleRef, subjects: [account] }));
  const path = corePathOf('serviceaccounts', namespace, 'consumer', 'token');
  const { status } = objectOf<{ status: { token: string } }>(await admin.create(path, { spec: {} }));
  const mounted = join(scratch, 'serviceaccount');
  await mkdir(mounted);
  await writeFile(join(mounted, 'token'), status.token);
  await writeFile(join(mounted, 'namespace'), namespace);
  await copyFile(access.caFile, join(mounted, 'ca.crt'));
  return mounted;
}

describe('the package, installed into an empty project', () => {
  test('brings itself and three packages, with nothing of the operator', async () => {
    const folders = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'));
    expect(folders.toSorted()).toEqual(['argparse', 'captcha-operator', 'js-yaml', 'undici']);
    const rooms = await readdir(join(project, 'node_modules/captcha-operator/lib'));
    expect(rooms.filter((room) => ['controllers', 'callback', 'provider', 'ops', 'gateway'].includes(room))).toEqual(
      [],
    );
  });

  test('brings the program that kubectl finds as its plugin, and what its completion asks', async () => {
    const version = (JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
    expect(await run([join(project, 'node_modules/.bin/kubectl-captcha'), '--version'], project)).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
    const completed = await run([join(project, 'node_modules/.bin/kubectl_complete-captcha'), 'doc'], project);
    expect(completed.stdout).toMatch(/^doctor\t.*\n:4\n$/);
  });

  test('compiles under strict settings without the types of Node or of its libraries', async () => {
    const text = `import { createTaskClient, refOf, type Waited } from 'captcha-operator/client';
const tasks = await createTaskClient({ userAgent: 'compiled' });
const turnstile = { siteKey: 'a', pageURL: 'https://example.com' };
const made = await tasks.create({ metadata: { name: 'a', namespace: 'b' }, spec: { captcha: { type: 'Turnstile', turnstile } } });
export const waited: Waited | undefined = 'task' in made ? await tasks.waitForSolved(refOf(made.task), {}) : undefined;
`;
    await writeFile(join(project, 'compiled.ts'), text);
    const options = {
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'dom'],
      types: [],
      strict: true,
      noEmit: true,
    };
    const config = { compilerOptions: { ...options, skipLibCheck: false }, files: ['compiled.ts'] };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
    expect(await run([join(ROOT, 'node_modules/.bin/tsc'), '-p', '.'], project)).toMatchObject({ code: 0, stdout: '' });
  });

  test('solves a task with a kubeconfig, and prints the solution alone', async () => {
    const page = pageOf(world.namespace, 'by-kubeconfig');
    const config = JSON.parse(await readFile(access.adminKubeconfig, 'utf8')) as { contexts: { context: object }[] };
    const contexts = config.contexts.map((one) => ({
      ...one,
      context: { ...one.context, namespace: world.namespace },
    }));
    const path = join(scratch, 'kubeconfig');
    await writeFile(path, JSON.stringify({ ...config, contexts }));
    const ended = await run([process.execPath, 'solve.mjs', 'by-kubeconfig', '0x4A', page], project, {
      KUBECONFIG: path,
    });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const task = await world.task('by-kubeconfig');
    expect(ended.stdout).toBe(`${task.status?.solution?.value}\n`);
  });

  test('solves a task in a pod that has a ServiceAccount and nothing else', async () => {
    const mounted = await podIdentity();
    const { hostname, port } = new URL(access.serverURL);
    const page = pageOf(world.namespace, 'by-account');
    const pod = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
    // Only a kubelet can put the account where it belongs.
    const text = await readFile(join(ROOT, 'examples/solve.mjs'), 'utf8');
    const there = text.replace('{ userAgent', `{ serviceAccountDirectory: ${JSON.stringify(mounted)}, userAgent`);
    await writeFile(join(project, 'pod.mjs'), there);
    const ended = await run([process.execPath, 'pod.mjs', 'by-account', '0x4A', page], project, pod);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(objectOf(await admin.get(pathOf('captchatasks', world.namespace, 'by-account')))).toHaveProperty(
      'status.phase',
      'Solved',
    );
  });
});
