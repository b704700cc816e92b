/**
 * An entry of the intent journal: the first submission of one task, whose status may not show it yet. Here is how a line
 * of the journal spells it; what it means for its task is in `overlay.ts`. An entry is only ever of attempt 1: of a task
 * whose status shows `attempts` 0 and no `submission`. Every other intent is in status itself, and never the one in place
 * of the other (contract, section 5).
 */
import { parseTime } from '../task/times.ts';

export interface Entry {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** The name of the intent, unique to it. */
  readonly by: string;
  /** As status shows it: RFC 3339, in whole seconds. */
  readonly intentTime: string;
  /** Whether the call carries a callback URL. */
  readonly pingback: boolean;
  /** Where the provider has accepted it. */
  readonly captchaID?: string;
}

/**
 * Of all lines together: what a namespace may have of it holds the submissions of two seconds at 150 a second. How much
 * goes into etcd's history, which keeps every version for some minutes, is bounded by the pace of the writes.
 */
export const MAX_JOURNAL_BYTES = 128 * 1_024;

const PINGBACK = 'pingback';
const NONE = 'none';

export function formatEntries(entries: Iterable<Entry>): string {
  let text = '';
  for (const entry of entries) text += `${lineOf(entry)}\n`;
  return text;
}

/** Every write spells all that stays, its length is asked often, and an entry never changes. */
const spelled = new WeakMap<Entry, string>();

function lineOf(entry: Entry): string {
  const known = spelled.get(entry);
  if (known !== undefined) return known;
  const { uid, namespace, name, by, intentTime, pingback, captchaID } = entry;
  const intent = `${uid} ${namespace}/${name} ${by} ${intentTime} ${pingback ? PINGBACK : NONE}`;
  const line = captchaID === undefined ? intent : `${intent} ${captchaID}`;
  spelled.set(entry, line);
  return line;
}

/** Of its line and the end of that, in UTF-8: nothing in it is other than ASCII. */
export function bytesOf(entry: Entry): number {
  return lineOf(entry).length + 1;
}

const LINE = /^(\S+) ([^\s/]+)\/([^\s/]+) (\S+) (\S+) (pingback|none)(?: (\d+))?(?: |$)/;

/** What is no line of ours was written by somebody else's hand, and is passed over. */
export function parseEntries(text: string): Entry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): Entry | undefined {
  const [, uid, namespace, name, by, intentTime, pingback, captchaID] = LINE.exec(line) ?? [];
  if (uid === undefined || parseTime(intentTime) === undefined) return undefined;
  const entry = { uid, namespace: namespace!, name: name!, by: by!, intentTime: intentTime! };
  return { ...entry, pingback: pingback === PINGBACK, ...(captchaID === undefined ? {} : { captchaID }) };
}
