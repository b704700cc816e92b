/**
 * The gateway as docs/gateway.md installs it, beside the operator: a client that speaks the provider's protocol and keeps its
 * connections solves captchas by it, from another pod, while the gateway's pods are replaced.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { inHand } from '../hand.ts';
import { pageOf } from '../load.ts';
import { splitImage } from '../settings.ts';
import { ROOT, SYSTEM, TASKS, read, type Stage } from '../stage.ts';
import { blockOf, sectionOf } from './readme.ts';

const BATCH = 'gateway';
const COUNT = 60;
const ADDRESS = `http://captcha-gateway.${SYSTEM}`;

interface Seen {
  solved: number;
  /** Words of the family, and what went wrong with connections. */
  others: Record<string, number>;
}

export async function throughGateway(stage: Stage): Promise<string> {
  const page = await readFile(join(ROOT, 'docs/gateway.md'), 'utf8');
  const keys = blockOf(sectionOf(page, 'Install'), 'sh').replaceAll('team-a', TASKS);
  await stage.shell(`cd ${stage.scratch}\n${keys}`);
  const component = await writeComponent(stage);
  await stage.kubectl('apply', '-k', component);
  await stage.system('rollout', 'status', 'deployment/captcha-gateway', '--timeout=240s');
  const secret = await read<{ data: { key: string } }>(stage, `/api/v1/namespaces/${TASKS}/secrets/captcha-gateway`);
  const key = Buffer.from(secret.data.key, 'base64').toString('utf8');
  const client = inHand(stage, CLIENT, ADDRESS, key, pageOf(BATCH), String(COUNT));
  await stage.system('rollout', 'restart', 'deployment/captcha-gateway');
  await stage.system('rollout', 'status', 'deployment/captcha-gateway', '--timeout=240s');
  const { solved, others } = JSON.parse(await client) as Seen;
  if (solved !== COUNT || Object.keys(others).length > 0)
    throw new Error(`${solved} solved, ${JSON.stringify(others)}`);
  const { submissions } = await stage.control.ledger({ field: 'pageurl', equals: pageOf(BATCH) });
  const paid = submissions.filter((one) => one.paid).length;
  if (paid !== COUNT) throw new Error(`${COUNT} submissions were paid for ${paid} times`);
  await stage.kubectl('delete', '-k', component, '--timeout=120s');
  return `${COUNT} solved for a client of the provider’s protocol while its pods were replaced, each paid once, no connection reset`;
}

/** The component alone, for an operator that is installed already. */
async function writeComponent({ image, scratch }: Stage): Promise<string> {
  const folder = join(scratch, 'overlays/gateway');
  await mkdir(folder, { recursive: true });
  const { name, tag } = splitImage(image);
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: SYSTEM,
    components: [relative(folder, join(ROOT, 'deploy/components/gateway'))],
    images: [{ name: 'captcha-operator', newName: name, newTag: tag }],
  };
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
  return folder;
}

/** Submits every 200 ms, polls each every second, and prints what it saw. Asks again only where an answer says so. */
const CLIENT = `
const { Agent, get } = require('node:http');
const [address, key, page, count] = process.argv.slice(1);
const agent = new Agent({ keepAlive: true });
const seen = { solved: 0, others: {} };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ask = (path, fields) => new Promise((resolve) => {
  const query = new URLSearchParams({ key, ...fields });
  const request = get(address + path + '?' + query, { agent }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part) => (text += part));
    response.once('end', () => resolve(text));
    response.once('error', (error) => resolve(error.message));
  });
  request.once('error', (error) => resolve(error.message));
});
const solve = async (index) => {
  const submitted = await ask('/in.php', { method: 'turnstile', sitekey: '0x4AAAAAAAgateway' + index, pageurl: page });
  let text = submitted;
  for (const id = submitted.startsWith('OK|') ? submitted.slice(3) : ''; id !== ''; ) {
    await wait(1000);
    text = await ask('/res.php', { action: 'get', id });
    if (text !== 'CAPCHA_NOT_READY') break;
  }
  if (submitted !== text && text.startsWith('OK|')) seen.solved += 1;
  else seen.others[text] = (seen.others[text] ?? 0) + 1;
};
(async () => {
  const all = [];
  for (let index = 0; index < Number(count); index += 1) {
    all.push(solve(index));
    await wait(200);
  }
  await Promise.all(all);
  console.log(JSON.stringify(seen));
  process.exit(0);
})();
`;
