/** What a run leaves behind, and how a simulator is started like the provider that was asked. */
import { readFileSync } from 'node:fs';
import { parseSwitches, type Switches } from '../simulator/switches.ts';
import type { Observations } from './question.ts';
import type { Run } from './run.ts';
import type { Recorded } from './session.ts';

export interface Recording {
  /** Day of the run, and the host that was asked. */
  date: string;
  host: string;
  switches: Partial<Switches>;
  observations: Record<string, Observations>;
  /** Every reply, without what it said. */
  exchanges: readonly Recorded[];
}

export function recordingOf(run: Run, about: { date: string; host: string; switches: Partial<Switches> }): Recording {
  const seen = run.asked.filter(({ skipped }) => skipped === undefined);
  const observations = Object.fromEntries(seen.map((it) => [it.question.id, it.observations]));
  return { ...about, observations, exchanges: run.recorded };
}

/** The switches of a recording; throws where the file has others than there are. */
export function recordedSwitches(path: string): Partial<Switches> {
  const { switches } = JSON.parse(readFileSync(path, 'utf8')) as Recording;
  return parseSwitches(
    Object.entries(switches)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
  );
}
