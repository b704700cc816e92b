/**
 * A line of keys in which groups take turns, so that nobody waits for another group's backlog: the next key is the
 * first of the group whose turn it is, and that group goes to the end of the round. Keys that were called urgent go
 * before all others, in the order in which they came. A key stands in it once; calling it urgent moves it.
 */
import { createLine, type Line } from './line.ts';

type IsHeldBack = (group: string) => boolean;

export interface Rounds {
  readonly size: number;
  has(key: string): boolean;
  /** Nothing where it stands in line already, unless it is urgent now and was not. */
  push(key: string, urgent: boolean): void;
  /** Undefined where nobody stands in line. Groups that are held back keep their places, what is urgent of them too. */
  take(isHeldBack?: IsHeldBack): string | undefined;
}

export function createRounds(groupOf: (key: string) => string): Rounds {
  /** Whether each key that stands in line is urgent. What a line holds beside that was moved or taken since. */
  const standing = new Map<string, boolean>();
  const urgentLine = createLine<string>();
  /** In the order of the round. */
  const groups = new Map<string, Line<string>>();

  const lineOf = (group: string): Line<string> => {
    const line = groups.get(group) ?? createLine<string>();
    groups.set(group, line);
    return line;
  };
  const takeFrom = (line: Line<string>, urgent: boolean, isHeldBack: IsHeldBack): string | undefined => {
    for (let left = line.size; left > 0; left -= 1) {
      const key = line.take()!;
      if (standing.get(key) !== urgent) continue;
      if (!isHeldBack(groupOf(key))) {
        standing.delete(key);
        return key;
      }
      line.push(key);
    }
    return undefined;
  };
  const takeInRound = (isHeldBack: IsHeldBack): string | undefined => {
    for (const [group, line] of groups) {
      if (isHeldBack(group)) continue;
      groups.delete(group);
      const key = takeFrom(line, false, isHeldBack);
      if (line.size > 0) groups.set(group, line);
      if (key !== undefined) return key;
    }
    return undefined;
  };

  return {
    get size() {
      return standing.size;
    },
    has: (key) => standing.has(key),
    push(key, urgent) {
      const before = standing.get(key);
      if (before === true || before === urgent) return;
      standing.set(key, urgent);
      (urgent ? urgentLine : lineOf(groupOf(key))).push(key);
    },
    take: (isHeldBack = () => false) => takeFrom(urgentLine, true, isHeldBack) ?? takeInRound(isHeldBack),
  };
}
