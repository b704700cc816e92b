/**
 * Writes docs/kubectl-captcha.md: what each command says of itself, and what it prints in a run against a real API server,
 * operator, sidecar and the provider simulator (`npm run generate:cli-docs`). A contract test compares the former; the
 * latter is as it was in the last run.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OPERATOR, objectOf } from '../dev/control-plane/index.ts';
import { startFleet } from '../dev/fleet.ts';
import { startInstallation, type Installation } from '../dev/installation.ts';
import { startSimulator } from '../dev/simulator/index.ts';
import { COMMANDS, readLine } from '../src/cli/commands.ts';
import { SCRIPTS } from '../src/cli/completion.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = 'docs/kubectl-captcha.md';
const SYSTEM = 'captcha-system';

/** The help of a line, as a block. */
function helpOf(...words: string[]): string {
  const line = readLine([...words, '--help']);
  if (line.kind !== 'help') throw new Error(`${words.join(' ')} has no help`);
  return block(`$ kubectl captcha ${[...words, '--help'].join(' ')}\n${line.text.trimEnd()}`);
}

function block(text: string): string {
  return `\`\`\`console\n${text}\n\`\`\``;
}

/** The parts of the page that the program says of itself. */
export function helpBlocks(): string[] {
  const others = COMMANDS.map(({ name }) => name).filter((name) => !['solve', 'completion'].includes(name));
  const overview = readLine([]);
  if (overview.kind !== 'help') throw new Error('there is no help');
  return [
    block(`$ kubectl captcha\n${overview.text.trimEnd()}`),
    helpOf('solve'),
    helpOf('solve', 'turnstile'),
    ...others.map((name) => helpOf(name)),
  ];
}

type Name = 'solve' | 'failed' | 'again' | 'json' | 'list' | 'top' | 'redrive' | 'doctor';

type Runs = Readonly<Record<Name, string>>;

function pageOf(runs: Runs): string {
  return solvePart(runs) + otherParts(runs);
}

function solvePart(runs: Runs): string {
  const [overview, types, turnstile] = helpBlocks();
  return `<!-- Written by scripts/generate-cli-docs.ts from a run; change the script, then run \`npm run generate:cli-docs\`. -->

# \`kubectl captcha\`

A plugin of kubectl: it solves a captcha from the shell, shows what is open and why, retries dead letters, and says what is
wrong with an installation. It is in the npm package of [the client](client.md), uses your kubeconfig as kubectl does (exec
plugins work), and needs no rights but yours.

\`\`\`sh
npm install --global captcha-operator     # or the release's file, or from Git: docs/client.md
kubectl captcha --help
\`\`\`

The output below is of a run against a local control plane and the provider simulator; the real provider takes ten seconds
to a minute.

${overview}

## Solve

On stdout is the solution alone, so \`TOKEN=$(kubectl captcha solve …)\` works; what happens goes to stderr, and \`--quiet\`
leaves it out.

${runs.solve}

Asked again with the same name, it is the same task: nothing is paid twice.

${runs.again}

A task that fails ends the command when its failure is seen, not at the timeout. A timeout and Ctrl-C leave the task as it
is, and say how to come back to it.

${runs.failed}

With \`-o json\` stdout holds one object, whose \`kind\` is \`solved\`, \`failed\`, \`gone\`, \`timedOut\`, \`aborted\`, \`refused\` or
\`taken\`.

${runs.json}

The flags are the fields of the task, so every type has its own. What is in an argument stands in the history of your shell
and in the list of processes: give proxies with a password by \`--proxy-secret-ref\`.

${types}

${turnstile}
`;
}

function otherParts(runs: Runs): string {
  const [wait, list, top, redrive, doctor] = helpBlocks().slice(3);
  return `
## Wait

${wait}

## List and top

Solutions are not shown.

${runs.list}

${runs.top}

${list}

${top}

## Redrive

${runs.redrive}

${redrive}

## Doctor

The first command when something is wrong. Each finding says what to do; the pages it names are in
[runbooks](runbooks/). \`✗\` is a fault and makes it end with 1, \`!\` a warning, \`?\` what you may not see, \`✓\` what is fine.

${runs.doctor}

It looks at the definitions and their version, the Deployments and pods, the Lease, whether the Secrets with keys exist (it
asks for their metadata only: no value comes to your machine), what you may do, what the operator's account may do (where
you may create SubjectAccessReviews), whether the callback URL answers with the sidecar's empty 404 *as seen from your
machine*, what open tasks wait for, and letters. Breakers and silent keys live in the operator's memory: they are seen in
the tasks that wait for them, and where none waits, only [metrics](metrics.md) know.

${doctor}

## Completion

For \`kubectl captcha\`: kubectl's own completion asks the program \`kubectl_complete-captcha\`, which npm installs beside it.
Nothing has to be done but [to set up kubectl's](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_completion/).
For \`kubectl-captcha\` by its own name there are scripts for ${Object.keys(SCRIPTS).join(', ')}:

\`\`\`sh
source <(kubectl captcha completion bash)
\`\`\`

Names of open tasks and letters are completed, too.
`;
}

interface World {
  installation: Installation;
  /** Runs a line in a shell that has kubectl and the plugin; what it printed, with the line above it. */
  run(line: string): Promise<string>;
}

async function record({ run }: World): Promise<Record<Name, string>> {
  const flags = '--site-key 0x4AAAAAAADnPIDROrmt1Wwj';
  const solve = await run(`kubectl captcha solve turnstile ${flags} --page-url https://example.com/login --name login`);
  const again = await run(
    `TOKEN=$(kubectl captcha solve turnstile ${flags} --page-url https://example.com/login --name login --quiet); echo \${#TOKEN}`,
  );
  const failed = await run(
    `kubectl captcha solve turnstile ${flags} --page-url https://example.com/moved; echo "ended with $?"`,
  );
  const json = await run('kubectl captcha wait login -o json');
  await run(`kubectl create secret generic checkout-solution --from-literal=value=ours`);
  await run(
    `kubectl captcha solve turnstile ${flags} --page-url https://example.com/checkout --name checkout --secret checkout-solution --timeout 3s`,
  );
  await run(
    `kubectl captcha solve turnstile ${flags} --page-url https://example.com/search --name search --api-key-secret-ref captchaai/api-key --timeout 3s`,
  );
  const list = await run('kubectl captcha list');
  const top = await run('kubectl captcha top');
  const doctor = await run('kubectl captcha doctor');
  await run('kubectl delete secret checkout-solution');
  const redrive = await run('kubectl captcha redrive --all');
  return { solve, again, failed, json, list, top, doctor, redrive };
}

/** The shipped manifests, with what no kubelet is here to report. */
async function install({ installation, run }: World, callbackURL: string): Promise<void> {
  const { admin } = installation;
  await run(`kubectl apply -k ${join(ROOT, 'deploy/overlays/cluster-wide')}`);
  await run(`kubectl -n ${SYSTEM} create secret generic captcha-operator-provider --from-literal=api-key=a`);
  await run(`kubectl -n ${SYSTEM} create secret generic captcha-operator-callback-keys --from-literal=keys=a`);
  const names = await run(`kubectl -n ${SYSTEM} get configmap -o name`);
  const settings = /configmap\/(captcha-operator-settings\S*)/.exec(names)?.[1] ?? '';
  const path = `/api/v1/namespaces/${SYSTEM}/configmaps/${settings}`;
  objectOf(await admin.patch(path, { data: { CALLBACK_URL: callbackURL } }, 'merge'));
  const deployment = `/apis/apps/v1/namespaces/${SYSTEM}/deployments/captcha-operator`;
  const status = { replicas: 2, readyReplicas: 2, observedGeneration: 1 };
  objectOf(await admin.patch(`${deployment}/status`, { status }, 'merge'));
}

function shellFor(kubeconfig: string, directory: string): World['run'] {
  const PATH = [directory, dirname(process.execPath), process.env['PATH']].join(delimiter);
  return (line) =>
    new Promise((resolve) => {
      const env = { PATH, HOME: directory, KUBECONFIG: kubeconfig };
      execFile(
        'bash',
        ['-c', `${line} 2>&1`.replace('; echo', ' 2>&1; echo')],
        { env, cwd: ROOT },
        (_error, stdout) => {
          resolve(block(`$ ${line}\n${stdout.trimEnd()}`));
        },
      );
    });
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'cli-docs-'));
  const installation = await startInstallation({ env: process.env, log: (line) => console.error(line) });
  const simulator = await startSimulator({ answerAfterMs: 800 });
  const { controlPlane, kubectl = '' } = installation;
  const fleet = await startFleet({
    kubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
    providerURL: simulator.url,
    operatorEnv: { LEADER_ELECTION: 'true' },
  });
  try {
    const program = `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'src/bin/kubectl-captcha.ts')} "$@"\n`;
    await writeFile(join(directory, 'kubectl-captcha'), program, { mode: 0o755 });
    await writeFile(join(directory, 'kubectl'), `#!/bin/sh\nexec ${kubectl} "$@"\n`, { mode: 0o755 });
    const world = { installation, run: shellFor(controlPlane.adminKubeconfig, directory) };
    await world.run(`kubectl apply --namespace default -k ${join(ROOT, 'deploy/tenant')}`);
    await install(world, fleet.callbackURL);
    const refused = { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] };
    await simulator.control.script(refused, { field: 'pageurl', equals: 'https://example.com/moved' });
    // The Lease is taken within its retry period; before that nothing would be solved.
    await delay(3_000);
    const runs = await record(world);
    const text = pageOf(runs).replaceAll(fleet.callbackURL, 'https://captcha.example.com');
    await writeFile(join(ROOT, PAGE), text);
    console.log(`${PAGE} written`);
  } finally {
    await fleet.stop();
    await simulator.stop();
    await installation.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
