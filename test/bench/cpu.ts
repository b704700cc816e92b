/** CPU time of processes, as the kernel counts it (Linux: /proc/<pid>/stat, ticks of 10 ms). Used by the benchmarks. */
import { readFileSync } from 'node:fs';

const TICK_MS = 10;

/** User and system time of a process so far, in milliseconds; 0 once it is gone. */
export function cpuMs(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command, may hold spaces; the fields after its bracket do not.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, /^VmRSS:\s+(\d+) kB/m);
}

/** The most it ever was; 0 once the process is gone. */
export function peakBytes(pid: number): number {
  return statusBytes(pid, /^VmHWM:\s+(\d+) kB/m);
}

function statusBytes(pid: number, line: RegExp): number {
  try {
    return Number(line.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

export type Usage = Readonly<Record<string, number>>;

/** What each named process used between two calls, in milliseconds. */
export function startUsage(pids: Readonly<Record<string, number>>): () => Usage {
  const before = Object.entries(pids).map(([name, pid]) => [name, pid, cpuMs(pid)] as const);
  return () => Object.fromEntries(before.map(([name, pid, startMs]) => [name, cpuMs(pid) - startMs]));
}
