/** Progress lines for the long steps: what is being done and for how long. Where the lines go is the caller's choice. */

/** Takes one line for people, without a newline. */
export type Log = (line: string) => void;

/** Runs `work` and logs its start, a line every `everyMs` with elapsed time and `detail()`, and its end. */
export async function withProgress<T>(
  log: Log,
  title: string,
  work: () => Promise<T>,
  options: { detail?: () => string; everyMs?: number } = {},
): Promise<T> {
  const startedMs = performance.now();
  const elapsed = (): string => `${Math.round((performance.now() - startedMs) / 1_000)} s`;
  const detail = (): string => options.detail?.() ?? '';
  log(`${title} …`);
  const timer = setInterval(() => log(`${title} … ${elapsed()}${detail()}`), options.everyMs ?? 15_000);
  try {
    const result = await work();
    log(`${title}: done in ${elapsed()}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
