/**
 * The demo's table: the columns of `kubectl get ctask`, one row a sample task, and what was expected of it. On a
 * terminal it redraws in place; elsewhere it prints one plain line whenever a row changes. Pure text, but for the
 * writer it is given.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';

export interface Row {
  name: string;
  type: string;
  phase: string;
  source: string;
  attempts: string;
  reason: string;
  /** What this sample shows, in a few words. */
  shows: string;
}

const COLUMNS = ['NAME', 'TYPE', 'PHASE', 'SOURCE', 'ATTEMPTS', 'REASON', 'SHOWS'] as const;

export function rowOf(task: CaptchaTask | undefined, name: string, shows: string): Row {
  const empty = { name, type: '', phase: '-', source: '', attempts: '', reason: '', shows };
  if (task === undefined) return empty;
  const { type } = task.spec.captcha;
  const { status } = task;
  if (status === undefined) return { ...empty, type, phase: 'Pending' };
  return {
    ...empty,
    type,
    phase: status.phase ?? 'Pending',
    source: status.solution?.source ?? '',
    attempts: String(status.attempts ?? ''),
    reason: status.conditions?.find((condition) => condition.type === 'Solved')?.reason ?? '',
  };
}

export function letterLine(letter: DeadLetter): string {
  const { metadata, spec, status } = letter;
  const phase = status?.phase ?? 'Pending';
  return `deadletter/${metadata.name}  task ${spec.taskRef.name}  ${spec.stage}  ${phase}  attempts ${status?.attempts ?? 0}`;
}

/** The table as aligned lines, without colour, so that it reads the same everywhere. */
export function renderTable(rows: readonly Row[]): string[] {
  const cells = rows.map((row) => [row.name, row.type, row.phase, row.source, row.attempts, row.reason, row.shows]);
  const all = [[...COLUMNS] as string[], ...cells];
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export interface LiveTable {
  update(rows: readonly Row[], letters: readonly string[]): void;
  /** Prints the last state once, as plain lines. */
  finish(): void;
}

export interface TableOutput {
  isTTY: boolean;
  write(text: string): void;
  /** Milliseconds since the demo began, for the plain lines. */
  elapsedMs(): number;
}

export function createLiveTable(output: TableOutput): LiveTable {
  let drawn = 0;
  let last: readonly Row[] = [];
  let lastLetters: readonly string[] = [];
  const seen = new Map<string, string>();
  const redraw = (): void => {
    const lines = [...renderTable(last), '', ...lastLetters];
    // Up to the first line of the last picture, then clear to the end of the screen.
    output.write(`${drawn > 0 ? `\u001b[${drawn}F\u001b[J` : ''}${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const printLine = (key: string, text: string): void => {
    if (seen.get(key) === text) return;
    seen.set(key, text);
    output.write(`${(output.elapsedMs() / 1000).toFixed(1).padStart(5)} s  ${text}\n`);
  };
  return {
    update: (rows, letters) => {
      last = rows;
      lastLetters = letters;
      if (output.isTTY) return redraw();
      for (const row of rows) printLine(row.name, plainLine(row));
      for (const letter of letters) printLine(letter.split('  ')[0] ?? letter, letter);
    },
    finish: () => {
      if (!output.isTTY) output.write(`\n${renderTable(last).join('\n')}\n`);
    },
  };
}

function plainLine(row: Row): string {
  const source = row.source === '' ? '' : `  by ${row.source}`;
  const attempts = row.attempts === '' ? '' : `  attempt ${row.attempts}`;
  return `captchatask/${row.name}  ${row.phase}${source}${attempts}${row.reason === '' ? '' : `  (${row.reason})`}`;
}
