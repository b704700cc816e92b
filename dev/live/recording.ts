/** What a run leaves behind, and how a simulator is started like the provider that was asked. */
import { readFileSync } from 'node:fs';
import { parseSwitches } from '../simulator/switches.ts';
import type { Observations } from './question.ts';
import type { Likeness, Run } from './run.ts';
import type { Recorded } from './session.ts';

export interface Recording extends Likeness {
  /** Day of the run, and the host that was asked. */
  date: string;
  host: string;
  observations: Record<string, Observations>;
  /** Every reply, without what it said. */
  exchanges: readonly Recorded[];
}

export function recordingOf(run: Run, about: Likeness & { date: string; host: string }): Recording {
  const seen = run.asked.filter(({ skipped }) => skipped === undefined);
  const observations = Object.fromEntries(seen.map((it) => [it.question.id, it.observations]));
  return { ...about, observations, exchanges: run.recorded };
}

/** How to start a simulator like the provider of a recording; throws where the file has switches that do not exist. */
export function recordedLikeness(path: string): Likeness {
  const { switches, words } = JSON.parse(readFileSync(path, 'utf8')) as Recording;
  const pairs = Object.entries(switches).map(([name, value]) => `${name}=${value}`);
  return { switches: parseSwitches(pairs.join(',')), words };
}
