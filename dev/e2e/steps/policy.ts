/** The shipped NetworkPolicy where it is enforced: what it lets in and out, and what not. */
import { KNOCK, handAddress, knock } from '../hand.ts';
import { LeftOut, SYSTEM, podsOf, until, type Pod, type Stage } from '../stage.ts';

interface Case {
  way: string;
  open: boolean;
  try(): Promise<boolean>;
}

export async function enforcePolicy(stage: Stage): Promise<string> {
  const [pod] = await podsOf(stage);
  if (pod === undefined) throw new Error('no pod of the operator');
  const address = pod.status.podIP ?? '';
  const enforced = await until(
    'the policy to be enforced',
    async () => !(await knock(stage, address, 8081)),
    60_000,
  ).catch(() => false);
  if (!enforced) {
    const what = 'another pod reaches the health port';
    throw stage.isOurs ? new Error(what) : new LeftOut(`this cluster enforces no NetworkPolicy: ${what}`);
  }
  const hand = await handAddress(stage);
  const into = (port: number, open: boolean): Case => {
    return { way: `from a pod to ${port}`, open, try: () => knock(stage, address, port) };
  };
  const out = (host: string, port: number, open: boolean): Case => {
    return { way: `from the operator to ${host}:${port}`, open, try: () => knockFrom(stage, pod, host, port) };
  };
  const cases = [into(8080, true), into(9090, true), into(9091, true), into(8081, false), into(8082, false)].concat([
    out(hand, 8443, true),
    out('kubernetes.default.svc.cluster.local', 443, true),
    out(hand, 8090, false),
  ]);
  const wrong: string[] = [];
  for (const one of cases)
    if ((await one.try()) !== one.open) wrong.push(`${one.way} is ${one.open ? 'shut' : 'open'}`);
  if (wrong.length > 0) throw new Error(wrong.join('; '));
  return `${cases.filter(({ open }) => open).length} ways open, ${cases.filter(({ open }) => !open).length} shut, as shipped`;
}

async function knockFrom(stage: Stage, pod: Pod, host: string, port: number): Promise<boolean> {
  const command = ['exec', pod.metadata.name, '--namespace', SYSTEM, '--container', 'operator', '--', 'node', '--eval'];
  return (await stage.kubectl(...command, KNOCK, host, String(port))).trim() === 'open';
}
