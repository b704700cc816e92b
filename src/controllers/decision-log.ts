/**
 * Why an object waits, or what is done with it: one line at level `debug` for each decision, with the name of the rule
 * that matched. A decision like the last one about the same object is not written again, however often it is made, so a
 * task that is woken a hundred times while it waits costs one line. At any other level there is nothing to call.
 */
import type { Decision } from '../core/decision.ts';
import type { Logger } from '../ops/log.ts';
import { splitKey } from '../kube/types.ts';

export type OnDecision = (key: string, decision: Decision<{ kind: string }>) => void;

/** Objects whose last decision is known. More of them only means lines that say the same again. */
const REMEMBERED = 10_000;

export function logDecisions(log: Pick<Logger, 'debug' | 'isEnabled'>, message: string): OnDecision | undefined {
  if (!log.isEnabled('debug')) return undefined;
  const last = new Map<string, string>();
  return (key, { rule, effect, wakeInMs }) => {
    const said = `${rule}: ${effect?.kind ?? 'rests'}`;
    if (last.get(key) === said) return;
    last.delete(key);
    last.set(key, said);
    const [oldest] = last.size > REMEMBERED ? last.keys() : [];
    if (oldest !== undefined) last.delete(oldest);
    // Only the effect's kind: its status and address are nobody's business here.
    log.debug(message, { ...splitKey(key), rule, effect: effect?.kind, wakeInMs });
  };
}
