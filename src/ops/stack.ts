/**
 * The places in a stack by the names of our sources. A built process is one file, and a stack would name lines of that; the
 * map beside it says which lines of ours they were. It is read with the first error that is written. Places in packages
 * and in Node stay as they are, and so does all where there is no map.
 *
 * Not `--enable-source-maps`: with it Node maps the stack of every stream that is given up, two a call of the provider,
 * and reads the map at the start.
 */
import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';

const PLACE = /(\/[^\s():]+\.js):(\d+):(\d+)/g;

const maps = new Map<string, SourceMap | undefined>();

export function nameSources(stack: string): string {
  return stack.replaceAll(PLACE, (place, file: string, line: string, column: string) => {
    const entry = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
    // The nearest entry before a line of a package is one of another line.
    if (entry === undefined || !('originalSource' in entry) || entry.generatedLine !== Number(line) - 1) return place;
    return `${entry.originalSource.replace(/^(\.\.\/)+/, '')}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

function mapOf(file: string): SourceMap | undefined {
  if (!maps.has(file)) maps.set(file, file.includes('/node_modules/') ? undefined : readMap(`${file}.map`));
  return maps.get(file);
}

/** A stack without names is better than none, so whatever is wrong with the map is passed over. */
function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload);
  } catch {
    return undefined;
  }
}
