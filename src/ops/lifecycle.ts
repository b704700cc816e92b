/**
 * The life of a process: start, wait for a signal, release what was acquired in reverse order, end with a code.
 *
 *   starting  `main` runs and registers a release for each thing it opened; a throw is logged, then *stopping* with 1.
 *   running   until SIGTERM or SIGINT (code 0), or until somebody calls `stop`.
 *   stopping  `signal` is aborted; releases run one after another, last registered first, each with its deadline. One
 *             that fails or takes too long is logged and passed over: the next one may be what saves a result.
 *   ended     `exit(code)`.
 *
 * A rejection or exception that nobody handled is a bug in unknown state: it is logged, redacted, and the process ends
 * with 1 at once, because everything it promised is durable elsewhere. Exit codes: 0 after a signal, 1 after a fault,
 * 2 when the configuration is wrong. It never exits by itself: `bin/` passes `exit` in.
 */
import type { Logger } from './log.ts';
import { redactText } from './redact.ts';

const EXIT_FAULT = 1;
export const EXIT_CONFIG = 2;

export interface Lifecycle {
  /** Aborted when stopping begins. */
  readonly signal: AbortSignal;
  /** Registers what has to be done at the end. `deadlineMs` bounds the wait for it, not the work itself. */
  onStop(name: string, deadlineMs: number, release: () => Promise<unknown> | void): void;
  /** Begins stopping; the first code wins. Resolves when every release had its time. */
  stop(reason: string, code?: number): Promise<void>;
}

/** The part of `process` that this file listens to. */
export interface SignalSource {
  on(event: string, listener: (value: unknown) => void): unknown;
}

export interface LifecycleOptions {
  logger: Logger;
  source: SignalSource;
  exit: (code: number) => void;
}

interface Release {
  name: string;
  deadlineMs: number;
  run: () => Promise<unknown> | void;
}

/** Runs `main` as a process. `main` returns when everything is started; the process lives on until it is stopped. */
export async function runProcess(
  options: LifecycleOptions,
  main: (lifecycle: Lifecycle) => Promise<void>,
): Promise<void> {
  const lifecycle = createLifecycle(options);
  try {
    await main(lifecycle);
  } catch (error) {
    // A start that a signal interrupted may fail in any way; the signal is the reason then.
    if (!lifecycle.signal.aborted) options.logger.error('start failed', { error });
    await lifecycle.stop('start failed', EXIT_FAULT);
  }
}

function createLifecycle({ logger, source, exit }: LifecycleOptions): Lifecycle {
  const controller = new AbortController();
  const releases: Release[] = [];
  let stopping: Promise<void> | undefined;

  const stop = (reason: string, code = 0): Promise<void> => {
    stopping ??= (async () => {
      logger.info('stopping', { reason });
      controller.abort();
      for (let next = releases.pop(); next !== undefined; next = releases.pop()) await runRelease(next, logger);
      logger.info('stopped', { exitCode: code });
      exit(code);
    })();
    return stopping;
  };
  const crash = (what: string) => (error: unknown) => {
    logger.error(what, { error: error instanceof Error ? error : new Error(String(error)) });
    exit(EXIT_FAULT);
  };
  source.on('SIGTERM', () => void stop('SIGTERM'));
  source.on('SIGINT', () => void stop('SIGINT'));
  source.on('uncaughtException', crash('uncaught exception'));
  source.on('unhandledRejection', crash('unhandled rejection'));
  return {
    signal: controller.signal,
    onStop: (name, deadlineMs, run) => void releases.push({ name, deadlineMs, run }),
    stop,
  };
}

async function runRelease({ name, deadlineMs, run }: Release, logger: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), deadlineMs);
  });
  try {
    const end = await Promise.race([(async () => run())(), late]);
    if (end === 'late') logger.warn('release took too long', { release: name, deadlineMs });
  } catch (error) {
    logger.error('release failed', { release: name, error });
  } finally {
    clearTimeout(timer);
  }
}

/** What a process with a wrong configuration prints on stderr before it ends with code 2: plain lines, no stack. */
export function configFaultText(process: string, faults: readonly string[]): string {
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  return [`${process}: ${count} in the configuration`, ...faults.map((fault) => `  ${redactText(fault)}`), ''].join(
    '\n',
  );
}
