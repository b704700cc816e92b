/** Child processes of tests: what one printed until its end, and whether one is there. Starts none and ends none. */
import type { ChildProcess } from 'node:child_process';

export interface Ended {
  /** -1: a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Gives a child that was just started its input, and waits for its end and all it printed. Rejects where none started. */
export function endOf(child: ChildProcess, input = ''): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // Whoever ends without reading it has said why by other means.
  child.stdin?.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
