/**
 * Makes the three processes into one file each, `npm run build`: `dist/bin/operator.js`, `callback.js` and `gateway.js`, with
 * everything in them that they load. One file is less memory and a quicker start than some three hundred (decision 0011).
 *
 * Beside each lies a map of our own lines, without the sources, which `src/ops/stack.ts` reads when an error is written.
 * Nothing is minified: what is in the image can be read.
 */
import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { rolldown, type OutputChunk, type Plugin } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const ENTRIES = ['operator', 'callback', 'gateway'] as const;

/** Only kubeconfigs with an auth provider load it, and say so where it is missing; the image goes without. */
const LEFT_OUT = ['@kubernetes/client-node/dist/config.js'];

/** Bundles each process by itself, so that none carries what only another needs. */
export async function bundle(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const entry of ENTRIES) await bundleProcess(entry, join(folder, 'bin', `${entry}.js`));
  // `require`, not `import`: what Node has built in is then loaded when it is used, and not with all that it exports.
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
}

async function bundleProcess(entry: string, file: string): Promise<void> {
  const build = await rolldown({
    input: join(ROOT, 'src/bin', `${entry}.ts`),
    platform: 'node',
    external: LEFT_OUT,
    tsconfig: false,
    plugins: [shortTypeTables(), ourLinesOnly()],
    // depd builds the functions that warn of deprecated ones from text.
    checks: { eval: false },
    onLog: (_level, { code, message }) => {
      throw new Error(`${entry}: ${code}: ${message}`);
    },
  });
  const { output } = await build.write({
    file,
    format: 'cjs',
    sourcemap: 'hidden',
    codeSplitting: false,
    comments: false,
  });
  await build.close();
  const [chunk] = output;
  writeFileSync(file, ascii(chunk.code));
  writeFileSync(`${file}.map`, mapOf(chunk));
}

/**
 * Koa brings three tables of all content types in the world, 6 MiB of a sidecar's memory, to find the one of a reply. Ours name
 * theirs; these are the ones that Koa itself may set.
 */
function shortTypeTables(): Plugin {
  const types = {
    'application/json': { source: 'iana', charset: 'UTF-8', extensions: ['json'] },
    'application/octet-stream': { source: 'iana', extensions: ['bin'] },
    'application/x-www-form-urlencoded': { source: 'iana' },
    'multipart/form-data': { source: 'iana' },
    'text/html': { source: 'iana', extensions: ['html'] },
    'text/plain': { source: 'iana', extensions: ['txt', 'text'] },
  };
  return {
    name: 'short-type-tables',
    load: (id) => (id.endsWith('/mime-db/db.json') ? { code: JSON.stringify(types), moduleType: 'json' } : null),
  };
}

function ourLinesOnly(): Plugin {
  return {
    name: 'our-lines-only',
    transform: (code, id) =>
      id.includes('/node_modules/') && /\.[cm]?js$/.test(id) ? { code, map: { mappings: '' } } : null,
  };
}

/** V8 keeps a text of ASCII in half the room that it needs for one with a single “…” in it. */
function ascii(code: string): string {
  return code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function mapOf({ map }: OutputChunk): string {
  if (map === null) throw new Error('no map was made');
  const { version, sources, mappings, names } = map;
  return JSON.stringify({ version, sources, mappings, names: names.map(() => '') });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(join(ROOT, 'dist'));
