/** The commands of docs/callback-host.md, run as they are printed there: what they answer, and where the key goes. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadRootFiles } from '../../src/callback/root-files.ts';
import { startSimulator } from '../../dev/simulator/index.ts';
import { startSidecar } from '../support/sidecar.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/callback-host.md'), 'utf8');
const KEY = 'b'.repeat(32);
const hasTools = ['bash', 'curl'].every((tool) => spawnSync(tool, ['--version']).status === 0);

/** The definition of `ask`, for another provider and with a key that nobody types. */
const definition = (url: string): string => {
  const block = /^ *(PROVIDER=[^`]*?ask\(\) .*)$/m.exec(PAGE.replaceAll(/\n +/g, '\n'))?.[1] ?? '';
  return block.replace('https://ocr.captchaai.com', url).replace('read -rs KEY', 'read -rs KEY <"$KEY_FILE"');
};

/** The session that the page shows: each command, and the one line that it answered. */
const shown = [...PAGE.matchAll(/^ *\$ (ask .*)\n *(.*)$/gm)].map(([, command = '', answer = '']) => ({
  command,
  answer,
}));

let directory: string;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'captcha-commands-'));
  await writeFile(join(directory, 'key'), `${KEY}\n`);
  await mkdir(join(directory, 'root-files'));
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await rm(directory, { recursive: true, force: true });
});

async function run(url: string, command: string): Promise<string> {
  const env = { PATH: process.env['PATH'], KEY_FILE: join(directory, 'key') };
  const { stdout } = await promisify(execFile)('bash', ['-c', `${definition(url)}\n${command}`], { env });
  return stdout.trim();
}

describe.skipIf(!hasTools)('the commands that register a host', () => {
  test('answer what the page shows, when the file is there from the second try on', async () => {
    const simulator = await startSimulator({ dialect: 'family', switches: { pingback: 'registered' } });
    closers.push(() => simulator.stop());
    const files = await loadRootFiles({ directory: join(directory, 'root-files') });
    closers.push(() => files.stop());
    const sidecar = await startSidecar({ rootFiles: files });
    closers.push(() => sidecar.stop());
    const here = (text: string): string => text.replace('127.0.0.1:8080', `127.0.0.1:${sidecar.server.port}`);
    expect(shown).toHaveLength(4);
    for (const { command, answer } of shown) {
      expect(await run(simulator.url, here(command)), command).toBe(here(answer));
      if (answer !== 'ERROR_IP_ADDRES') continue;
      await writeFile(join(directory, 'root-files', '2captcha.txt'), 'f00dcafe\n');
      await files.reload();
    }
    expect(await run(simulator.url, "ask 'action=del_pingback&addr=all'; ask action=get_pingback")).toMatch(/\nOK$/);
  });

  test('send the key in the body, and never as a part of a URL', async () => {
    const seen: { target: string; body: string }[] = [];
    const take = async (request: IncomingMessage): Promise<string> => {
      seen.push({ target: request.url ?? '', body: await bodyOf(request) });
      return 'OK';
    };
    const server = createServer((request, response) => void take(request).then((text) => response.end(text)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'ask action=get_pingback');
    expect(seen).toEqual([{ target: '/res.php', body: `key=${KEY}&action=get_pingback` }]);
  });

  test('name the key only where the shell itself puts it into a pipe', () => {
    const lines = PAGE.split('\n').filter((line) => line.includes('$KEY'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`{ printf 'key=%s&%s' "$KEY" "$1" | curl `);
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}
