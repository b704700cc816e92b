/** Reads what `count-allocation.ts` counts inside one of our processes. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { Member } from '../../dev/fleet.ts';
import { waitUntil } from './wait-until.ts';

/** Environment of a process whose allocation is counted; `file` is its own. */
export function countAllocation(file: string): Record<string, string> {
  const counter = fileURLToPath(new URL('count-allocation.ts', import.meta.url));
  return { NODE_OPTIONS: `--import=${counter}`, ALLOCATION_FILE: file };
}

/** Bytes that the process has allocated on its JavaScript heap since it started. */
export async function allocatedBytes(member: Pick<Member, 'kill' | 'name'>, file: string): Promise<number> {
  const before = (await linesOf(file)).length;
  member.kill('SIGUSR2');
  const lines = await waitUntil(`${member.name} to say what it allocated`, async () => {
    const now = await linesOf(file);
    return now.length > before ? now : undefined;
  });
  return Number(lines.at(-1));
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}
