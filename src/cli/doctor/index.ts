/**
 * `doctor`: looks at an installation and says what is wrong and what to do about it. It reads and judges, and repairs
 * nothing. What the caller may not see is said as that, never as fine.
 */
import { EXIT, print, printJSON, say, type ExitCode, type Session } from '../session.ts';
import type { Facts, Finding } from './facts.ts';
import { meansFindings } from './means.ts';
import { objectFindings } from './objects.ts';
import { readFacts } from './read.ts';
import { workFindings } from './work.ts';

export async function doctor(session: Session): Promise<ExitCode> {
  const facts = await readFacts(session);
  if (typeof facts === 'string') {
    say(session, `${session.cluster.server} cannot be looked at: ${facts}`);
    return EXIT.refused;
  }
  const findings = findingsOf(facts, Date.now());
  if (session.isJSON) printJSON(session, findings);
  else print(session, findingsText(findings));
  return findings.some(({ level }) => level === 'fault') ? EXIT.failed : EXIT.ok;
}

export function findingsOf(facts: Facts, nowMs: number): Finding[] {
  return [...objectFindings(facts, nowMs), ...meansFindings(facts), ...workFindings(facts, nowMs)];
}

const MARKS: Readonly<Record<Finding['level'], string>> = { fault: '✗', warning: '!', unseen: '?', fine: '✓' };
const ORDER: readonly Finding['level'][] = ['fault', 'warning', 'unseen', 'fine'];

/** The worst first; a sum at the end, because a terminal shows the end. */
export function findingsText(findings: readonly Finding[]): string {
  const blocks = ORDER.flatMap((level) => findings.filter((one) => one.level === level)).map(
    ({ level, says, cure, runbook }) =>
      [
        `${MARKS[level]} ${says}`,
        ...(cure === undefined ? [] : [`    do: ${cure}`]),
        ...(runbook === undefined ? [] : [`    runbook: docs/runbooks/${runbook}.md`]),
      ].join('\n'),
  );
  const count = (level: Finding['level'], noun: string): string => {
    const number = findings.filter((one) => one.level === level).length;
    return `${number} ${noun}${number === 1 || noun === 'fine' || noun === 'not seen' ? '' : 's'}`;
  };
  const sum = [
    count('fault', 'fault'),
    count('warning', 'warning'),
    count('unseen', 'not seen'),
    count('fine', 'fine'),
  ].join(', ');
  return [...blocks, '', sum].join('\n');
}
