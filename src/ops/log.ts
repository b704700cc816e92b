/**
 * The log of a process: one JSON line per turn that matters, on stdout, with a constant message and fields
 * (`namespace`, `name`, `uid`, `attempt`, … where a task is meant), so that lines can be counted and one task can be
 * followed from apply to solution. Every line passes the redaction guard.
 *
 * Lines up to `info` are written together, a twentieth of a second after the first; a warning or an error at once, and
 * with it what waits. At an exit, also one by an exception, what waits is written first: the last line before a crash is
 * the one that is needed. A reader that went away ends the log, not the process.
 */
import pino from 'pino';

import type { LogLevel } from './config/variables.ts';
import { redactFields, redactText } from './redact.ts';

export interface Logger {
  /** `message` is constant: what varies goes into `fields`. An `error` field may hold anything thrown. */
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
  /** Whether lines of this level are written: for whoever would have to build them first. */
  isEnabled(level: LogLevel): boolean;
  /** A logger whose lines all carry these fields. */
  with(fields: object): Logger;
}

export interface LoggerOptions {
  level: LogLevel;
  /** `operator` or `callback`. */
  component: string;
  /** Where lines go; default: stdout. */
  write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { component: options.component },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  const { stream, flush } = destinationOf(options);
  return over(pino(settings, stream), flush);
}

/** How long a line may wait for others: writing each by itself costs more than everything else about it. */
const TOGETHER_MS = 50;

interface Destination {
  stream: pino.DestinationStream;
  /** Writes what waits. */
  flush(): void;
}

function destinationOf({ write }: LoggerOptions): Destination {
  if (write !== undefined) return { stream: { write }, flush: () => undefined };
  const stdout = pino.destination({ dest: 1, sync: true });
  stdout.on('error', () => undefined);
  let waiting = '';
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting !== '') stdout.write(waiting);
    waiting = '';
  };
  process.once('exit', flush);
  const later = (line: string): void => {
    waiting += line;
    timer ??= setTimeout(flush, TOGETHER_MS);
  };
  return { stream: { write: later }, flush };
}

function over(lines: pino.Logger, flush: () => void): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: object): void => {
      if (!lines.isLevelEnabled(level)) return;
      if (fields === undefined) lines[level](redactText(message));
      else lines[level](redactFields(fields), redactText(message));
      if (level === 'warn' || level === 'error') flush();
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isEnabled: (level) => lines.isLevelEnabled(level),
    with: (fields) => over(lines.child(redactFields(fields)), flush),
  };
}
