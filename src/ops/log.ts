/**
 * The log of a process: one JSON line per turn that matters, on stdout, with a constant message and fields
 * (`namespace`, `name`, `uid`, `attempt`, … where a task is meant), so that lines can be counted and one task can be
 * followed from apply to solution. Every line passes the redaction guard.
 *
 * Lines are written synchronously: the last line before a crash is the one that is needed. A reader that went away
 * ends the log, not the process. Made in `bin/` and passed to whoever logs.
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
  return over(pino(settings, destinationOf(options)));
}

function destinationOf({ write }: LoggerOptions): pino.DestinationStream {
  if (write !== undefined) return { write };
  const stdout = pino.destination({ dest: 1, sync: true });
  stdout.on('error', () => {});
  return stdout;
}

function over(lines: pino.Logger): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: object): void => {
      if (!lines.isLevelEnabled(level)) return;
      if (fields === undefined) lines[level](redactText(message));
      else lines[level](redactFields(fields), redactText(message));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => over(lines.child(redactFields(fields))),
  };
}
