/** What `npm run live` prints: what it would ask, what it saw, where the simulator says otherwise. Pure. */
import type { Materials } from './question.ts';
import { QUESTIONS } from './questions/index.ts';
import { obstacle, type Asked, type Likeness, type Point, type Run } from './run.ts';

interface Given {
  materials: Materials;
  callback: boolean;
  budget: number;
}

/** For `--dry-run`: each question, what it may cost, and whether it would be asked. */
export function planText(given: Given): string {
  let left = given.budget;
  const lines = QUESTIONS.map((question) => {
    const skipped = obstacle(question, { ...given, budget: left });
    const cost = question.mayCost === 'threads' ? 'threads + 1' : String(question.mayCost);
    if (skipped === undefined && question.mayCost !== 'threads') left -= question.mayCost;
    const verdict = skipped === undefined ? 'asked' : `not asked: ${skipped}`;
    return `${question.step}  ${question.id} (may cost ${cost}): ${verdict}\n     ${question.asks}`;
  });
  return `Would ask, of a budget of ${given.budget}; nothing was sent.\n\n${lines.join('\n')}\n`;
}

/** One line as soon as a question has its answers. */
export function askedText({ question, observations, skipped }: Asked): string {
  const points = Object.entries(observations).map(([point, value]) => `     ${point}: ${value}\n`);
  return `${question.step}  ${question.id}${skipped === undefined ? '' : `: not asked, ${skipped}`}\n${points.join('')}`;
}

export interface Report {
  run: Run;
  /** Against a simulator as it is, and against one that was made like the provider. */
  points: readonly Point[];
  left: readonly Point[];
  likeness: Likeness;
}

export function reportText({ run, points, left, likeness }: Report): string {
  const differing = points.filter(({ expected, seen }) => expected !== seen);
  const set = Object.entries(likeness.switches).map(([name, value]) => `${name}=${value}`);
  const others = Object.entries(likeness.words).map(([usual, word]) => `  ${word} in place of ${usual}`);
  const parts = [
    `${points.length} points seen, ${run.paid} submissions paid for${run.stopped === undefined ? '' : `; stopped: ${run.stopped}`}.`,
    listed('The simulator says otherwise on', differing),
    set.length === 0
      ? 'No switch has to be turned.'
      : `A simulator like this provider:\n  SWITCHES=${set.join(',')} node dev/bin/simulator.ts`,
    ...(others.length === 0 ? [] : [`Other words, which a simulator of the recording uses:\n${others.join('\n')}`]),
    listed(
      'What no switch expresses yet',
      left.filter(({ expected, seen }) => expected !== seen),
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

function listed(title: string, points: readonly Point[]): string {
  if (points.length === 0) return `${title}: nothing.`;
  const lines = points.map(
    ({ question, point, expected, seen }) => `  ${question} / ${point}: ${seen}; the simulator: ${expected}`,
  );
  return `${title}:\n${lines.join('\n')}`;
}
