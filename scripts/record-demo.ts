/**
 * Writes docs/img/demo.svg: a run of `npm run demo` as a terminal that replays itself, for the README.
 * `node scripts/record-demo.ts` runs the demo and records it; with `--log FILE` it draws the saved output of one. The lines
 * are the demo's own and appear when it printed them. Left out are the start, which has no times, and the steps on the way of
 * a task; nothing is added.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TARGET = fileURLToPath(new URL('../docs/img/demo.svg', import.meta.url));
const DEMO = fileURLToPath(new URL('../dev/bin/demo.ts', import.meta.url));
const LINE = 18;
const CHARACTER = 8.2;
const MARGIN = 16;
const BAR = 34;
const PALETTE: readonly [pattern: RegExp, color: string][] = [
  [/ Failed/, '#ff7b72'],
  [/DeadLetter|^\s*[\d.]+ s {2}deadletter/, '#e3b341'],
  [/ Solved|^every task/, '#7ee787'],
  [/^NAME|^\$/, '#79c0ff'],
];

/** What is worth a line: how a task ended, what it waits for, and what becomes of a letter. */
const TURN = /  (?:Solved|Failed)  |\(MissingAPIKey\)|\(DeadLettered\)|  deadletter\//;

interface Line {
  text: string;
  /** Seconds after the first task was applied. */
  at: number;
}

/** What the demo printed from its first task on; the time of a line without one is that of the line before. */
export function linesOf(output: string): Line[] {
  const lines = output.trimEnd().split('\n');
  const first = lines.findIndex((line) => line.startsWith('applying '));
  if (first < 0) throw new Error('this is no output of the demo: it applied no tasks');
  const shown = lines.slice(first).filter((text) => timeOf(text) === undefined || TURN.test(text));
  const start = shown.map(timeOf).find((seconds) => seconds !== undefined) ?? 0;
  let at = 0;
  return shown.map((text) => {
    at = Math.max(at, (timeOf(text) ?? 0) - start);
    return { text, at };
  });
}

function timeOf(text: string): number | undefined {
  const seconds = /^\s*([\d.]+) s {2}/.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** An SVG of its own: no script, no font and no picture from elsewhere; where animations are off, the end is shown. */
export function drawn(lines: readonly Line[]): string {
  const shown: Line[] = [{ text: '$ npm run demo', at: 0 }, ...lines];
  const width = Math.ceil(Math.max(...shown.map(({ text }) => text.length)) * CHARACTER + 2 * MARGIN);
  const height = BAR + shown.length * LINE + MARGIN;
  const rows = shown.map(({ text, at }, index) => {
    const y = BAR + (index + 1) * LINE - 4;
    return `<text x="${MARGIN}" y="${y}" fill="${colorOf(text)}" style="animation-delay:${at.toFixed(1)}s">${escaped(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A run of npm run demo">
<style>
text { font: 12.6px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; }
@media (prefers-reduced-motion: no-preference) {
text { opacity: 0; animation: appear 0.2s forwards; }
@keyframes appear { to { opacity: 1; } }
}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<circle cx="18" cy="17" r="5" fill="#ff5f57"/><circle cx="36" cy="17" r="5" fill="#febc2e"/><circle cx="54" cy="17" r="5" fill="#28c840"/>
${rows.join('\n')}
</svg>
`;
}

function colorOf(text: string): string {
  return PALETTE.find(([pattern]) => pattern.test(text))?.[1] ?? '#c9d1d9';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function runDemo(): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      process.stdout.write(text);
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`the demo ended with ${code}`))));
  });
}

if (import.meta.main) {
  const { log } = parseArgs({ options: { log: { type: 'string' } } }).values;
  writeFileSync(TARGET, drawn(linesOf(log === undefined ? await runDemo() : readFileSync(log, 'utf8'))));
}
