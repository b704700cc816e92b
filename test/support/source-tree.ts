/** The TypeScript files below some folders of the repository, for checks of their text. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** By path from the root of the repository, with `/`. */
export function readTrees(...tops: string[]): Map<string, string> {
  return new Map(
    tops.flatMap((top) =>
      readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name): [string, string] => [
          `${top}/${name.replaceAll('\\', '/')}`,
          readFileSync(join(ROOT, top, name), 'utf8'),
        ]),
    ),
  );
}
