/**
 * A pod that may do to a node what no API can: it ends processes of other pods without warning, and makes folders for
 * volumes. Privileged, in a namespace of its own; only the tests have it.
 */
import { read, type Pod, type Stage } from './stage.ts';

export const HAND = 'captcha-e2e-hand';

export async function startHand({ apply, kubectl, image }: Stage): Promise<void> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
  const container = {
    name: 'hand',
    image,
    command: ['node', '--eval', LISTEN],
    securityContext: { privileged: true, runAsUser: 0 },
  };
  const spec = {
    hostPID: true,
    tolerations: [{ operator: 'Exists' }],
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    containers: [container],
  };
  await apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: HAND, labels } },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'hand', namespace: HAND }, spec },
  ]);
  await kubectl('-n', HAND, 'wait', '--for=condition=Ready', 'pod/hand', '--timeout=120s');
}

/** The address of a pod that listens on 8443 and 8090. */
export async function handAddress(stage: Stage): Promise<string> {
  return (await read<Pod>(stage, `/api/v1/namespaces/${HAND}/pods/hand`)).status.podIP ?? '';
}

/** Whether a connection from this pod, one of the cluster, is taken. A refusal is not: some enforcers refuse, others drop. */
export async function knock(stage: Stage, host: string, port: number): Promise<boolean> {
  return (await inHand(stage, KNOCK, host, String(port))) === 'open';
}

/** SIGKILL to the first process of a container; returns its command line. Throws when it has none. */
export async function killContainer(stage: Stage, pod: Pod, container: string): Promise<string> {
  const status = pod.status.containerStatuses?.find(({ name }) => name === container);
  const id = status?.containerID?.replace(/^.*\/\//, '') ?? '';
  if (id === '') throw new Error(`pod ${pod.metadata.name} runs no ${container}`);
  return inHand(stage, KILL, id);
}

/** A folder of the node's own disk. */
export async function makeFolder(stage: Stage, path: string): Promise<void> {
  await inHand(stage, `require('node:fs').mkdirSync('/proc/1/root' + process.argv[1], { recursive: true })`, path);
}

/** That folder with what is in it; no error where there is none. */
export async function removeFolder(stage: Stage, path: string): Promise<void> {
  const program = `require('node:fs').rmSync('/proc/1/root' + process.argv[1], { recursive: true, force: true })`;
  await inHand(stage, program, path);
}

/** Runs a program in the pod; what it printed. */
export async function inHand({ kubectl }: Stage, program: string, ...args: string[]): Promise<string> {
  return (await kubectl('-n', HAND, 'exec', 'hand', '--', 'node', '--eval', program, ...args)).trim();
}

const LISTEN = `
const { createServer } = require('node:net');
for (const port of [8443, 8090]) createServer((socket) => socket.end()).listen(port);
process.on('SIGTERM', () => process.exit(0));
`;

/** Prints `open` or `shut`: whether a connection to this host and port is taken. */
export const KNOCK = `
const [host, port] = process.argv.slice(1);
const socket = require('node:net').connect({ host, port: Number(port) });
const say = (word) => { console.log(word); process.exit(0); };
socket.setTimeout(3000, () => say('shut'));
socket.once('connect', () => say('open'));
socket.once('error', () => say('shut'));
`;

/** By the container's id in the cgroup of a process; the smallest number is the one that the runtime started. */
const KILL = `
const fs = require('node:fs');
const id = process.argv[1];
const read = (pid, file) => { try { return fs.readFileSync('/proc/' + pid + '/' + file, 'utf8'); } catch { return ''; } };
const all = fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).sort((a, b) => a - b);
const pid = all.find((pid) => read(pid, 'cgroup').includes(id) && read(pid, 'cmdline') !== '');
if (pid === undefined) throw new Error('no process of container ' + id);
const line = read(pid, 'cmdline').replaceAll('\\0', ' ').trim();
process.kill(pid, 'SIGKILL');
console.log(line);
`;
