/**
 * The README as somebody follows it who reads nothing else: its commands, copied from the page. Two things are put in
 * place: the address of a release, by the file that `npm run manifests` makes of this work tree, and the provider's, by the
 * simulator's.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { DEMO_API_KEY } from '../../fleet.ts';
import { SETTINGS } from '../settings.ts';
import { ROOT, type Stage } from '../stage.ts';
import { leftOf } from './install.ts';

const RELEASE = /https:\/\/github\.com\/OWNER\/\S+\/install\.yaml/;
const URL_SETTING = 'PROVIDER_URL';

export async function followReadme(stage: Stage): Promise<string> {
  const page = await readFile(join(ROOT, 'README.md'), 'utf8');
  const folder = join(stage.scratch, 'readme');
  await mkdir(folder, { recursive: true });
  const file = await installFile(stage, folder);
  const install = blockOf(sectionOf(page, 'Install'), 'sh');
  if (!RELEASE.test(install)) throw new Error('the README installs no release');
  await stage.shell(install.replace(RELEASE, file), DEMO_API_KEY);
  const shown = await stage.shell(blockOf(sectionOf(page, 'Your first task'), 'sh'));
  if (!/ Solved .* Solved /.test(shown)) throw new Error(`the first task: ${shown.trim()}`);
  await stage.kubectl('delete', 'ctask', 'login');
  await repeatOverview(stage, blockOf(page, 'console'), join(folder, 'watched'));
  await stage.kubectl('delete', '-f', file, '--timeout=120s');
  const left = await leftOf(stage);
  if (left.length > 0) throw new Error(`left: ${left.join(', ')}`);
  return 'two pastes, Install and Your first task, to a solution; its overview as printed; nothing left after the deletion';
}

/** The block at its top, whose output is that of an earlier run: no phase is shown there that does not come. */
async function repeatOverview(stage: Stage, overview: string, watched: string): Promise<void> {
  const printed = await stage.shell(asScript(promptsOf(overview), watched));
  const watch = await readFile(watched, 'utf8');
  stage.log(watch.trim());
  const unseen = phasesIn(overview).filter((phase) => !phasesIn(watch).includes(phase));
  if (unseen.length > 0) throw new Error(`the README shows ${unseen.join(', ')}, and this does not come`);
  const value = printed.trim().split('\n').at(-1) ?? '';
  const stored = await stage.kubectl('get', 'ctask', 'login', '-o', 'jsonpath={.status.solution.value}');
  if (value === '' || value !== stored) throw new Error(`the last command printed: ${value}`);
}

/** What a release has as install.yaml. */
async function installFile({ shell, image }: Stage, folder: string): Promise<string> {
  await shell(`npm run -s manifests -- --image ${image} --out ${folder}`);
  const file = join(folder, 'install.yaml');
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  const settings = documents.filter((document) => document.get('kind') === 'ConfigMap');
  if (settings.length !== 1) throw new Error(`install.yaml has ${settings.length} ConfigMaps`);
  settings[0]?.setIn(['data', URL_SETTING], SETTINGS[URL_SETTING]);
  await writeFile(file, documents.map(String).join('---\n'));
  return file;
}

/** From this heading on. */
export function sectionOf(markdown: string, heading: string): string {
  const at = markdown.indexOf(`\n## ${heading}\n`);
  if (at === -1) throw new Error(`no section ${heading}`);
  return markdown.slice(at);
}

/** In the rows of `kubectl get ctask`. */
export function phasesIn(output: string): string[] {
  return [...output.matchAll(/^login +RecaptchaV2 +([A-Z]\w+)/gm)].map(([, phase = '']) => phase);
}

/** The first block of this language. */
export function blockOf(markdown: string, language: string): string {
  const [, text] = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(markdown) ?? [];
  if (text === undefined) throw new Error(`no block of ${language}`);
  return text;
}

/** What is typed in a block that also shows what is printed. */
export function promptsOf(block: string): string[] {
  return [...block.matchAll(/^\$ (.*)$/gm)].map(([, command = '']) => command);
}

/** A watch runs beside the others until they are done. */
export function asScript(commands: readonly string[], watched: string): string {
  const lines = commands.map((command) => (command.endsWith(' -w') ? `${command} > ${watched} & watch=$!` : command));
  return [...lines, 'kill $watch', ''].join('\n');
}
