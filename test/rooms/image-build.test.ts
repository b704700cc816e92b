/** `npm run image` with stand-ins for the container engines that note what they were asked; nothing is built. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commandsFor, faultsOf, type ImageOptions } from '../../scripts/image.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/image.ts');
const OPTIONS: ImageOptions = { tag: 'r.example/captcha:1', platforms: [], push: false, archive: undefined };
let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'engines-'));
});
afterEach(async () => {
  await rm(scratch, { recursive: true });
});

/** An engine that answers `info` with this code, and notes everything else. */
async function engine(name: string, info: number): Promise<void> {
  const script = `#!/bin/sh\n[ "$1" = info ] && exit ${info}\necho "${name} $*" >> ${join(scratch, 'asked')}\n`;
  await writeFile(join(scratch, name), script, { mode: 0o755 });
}

function image(...args: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [SCRIPT, ...args], { env: { PATH: scratch } }, (_error, _out, stderr) =>
      resolve({ code: child.exitCode ?? -1, stderr }),
    );
  });
}

const asked = async (): Promise<string[]> => (await readFile(join(scratch, 'asked'), 'utf8')).trim().split('\n');

describe('npm run image', () => {
  test('takes the first engine that answers, and names the image as clusters do', async () => {
    await engine('docker', 1);
    await engine('podman', 0);
    await engine('buildah', 0);
    expect((await image()).code).toBe(0);
    expect(await asked()).toEqual([
      expect.stringMatching(/^podman build --tag docker\.io\/library\/captcha-operator:\d+\.\d+\.\d+ \.$/),
    ]);
  });

  test('builds with the engine that was named, saves and pushes', async () => {
    for (const name of ['docker', 'podman', 'buildah']) await engine(name, 0);
    await image('--engine', 'buildah', '--tag', OPTIONS.tag, '--archive', 'a.tar', '--push');
    expect(await asked()).toEqual([
      'buildah build --tag r.example/captcha:1 .',
      'buildah push r.example/captcha:1 docker-archive:a.tar:r.example/captcha:1',
      'buildah push r.example/captcha:1',
    ]);
  });

  test('says all that is wrong and asks no engine', async () => {
    await engine('docker', 0);
    const { code, stderr } = await image('--push', '--platform', 'linux/amd64,linux/arm64', '--archive', 'a.tar');
    expect(code).toBe(2);
    expect(stderr).toContain('--push needs --tag');
    expect(stderr).toContain('an archive holds one platform');
    await expect(asked()).rejects.toThrow('ENOENT');
  });
});

describe('the commands', () => {
  const platforms = ['linux/amd64', 'linux/arm64'];

  test('of several platforms push one image', () => {
    const several = { ...OPTIONS, platforms, push: true };
    expect(commandsFor('docker', several).map((words) => words.join(' '))).toEqual([
      'docker buildx build --platform linux/amd64,linux/arm64 --tag r.example/captcha:1 --push .',
    ]);
    expect(commandsFor('podman', several).map((words) => words.join(' '))).toEqual([
      'podman build --platform linux/amd64,linux/arm64 --manifest r.example/captcha:1 .',
      'podman manifest push --all r.example/captcha:1 docker://r.example/captcha:1',
    ]);
  });

  test('are not made for what cannot be', () => {
    expect(faultsOf(OPTIONS)).toEqual([]);
    expect(faultsOf({ ...OPTIONS, tag: 'ghcr.io/Example/captcha:V1' })).toHaveLength(1);
    expect(faultsOf({ ...OPTIONS, tag: 'r.example:5000/captcha:V1' })).toEqual([]);
    expect(faultsOf({ ...OPTIONS, tag: 'r.example:5000/Captcha' })).toHaveLength(1);
    expect(faultsOf({ ...OPTIONS, platforms })).toHaveLength(1);
  });
});
