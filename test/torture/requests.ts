/** How the requests of a crash point are recognised: what a write says about one task, and what it leaves out. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { Matches, Seen } from './checkpoint.ts';

export const either =
  (...all: readonly Matches[]): Matches =>
  (seen) =>
    all.some((one) => one(seen));

/** Any write of the journal. */
export const writesJournal: Matches = ({ method, url }) => method !== 'GET' && /\/configmaps(\/|$)/.test(url);

/** The lines of the journal that this write brings, by the name of their task. */
function linesIn({ text }: Seen): Map<string, string[]> {
  const { data } = JSON.parse(text) as { data?: { entries?: string } };
  const lines = (data?.entries ?? '').split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => [nameIn(line), line.split(' ')]));
}

function nameIn(line: string): string {
  return line.split(' ')[1]?.split('/')[1] ?? '';
}

/** A journal write that holds an entry of each of these tasks. */
export const enters =
  (...names: readonly string[]): Matches =>
  (seen) => {
    if (!writesJournal(seen)) return false;
    const lines = linesIn(seen);
    return names.every((name) => lines.has(name));
  };

/** A journal write without an entry of this task: a drop, where the journal has one. */
export const leavesOut =
  (name: string): Matches =>
  (seen) =>
    writesJournal(seen) && !linesIn(seen).has(name);

/** A journal write with the provider's id in the entry of this task. */
export const identifies =
  (name: string): Matches =>
  (seen) =>
    writesJournal(seen) && linesIn(seen).get(name)?.[5] !== undefined;

/** A journal write with another entry of this task than that one had. */
export const entersAnew =
  (name: string, before: Seen): Matches =>
  (seen) =>
    enters(name)(seen) && linesIn(seen).get(name)?.[2] !== linesIn(before).get(name)?.[2];

/** A status write about this task. */
export const tells =
  (name: string, says: (status: NonNullable<CaptchaTask['status']>) => boolean = () => true): Matches =>
  ({ method, url, text }) => {
    if (method === 'GET' || !url.includes(`/captchatasks/${name}/status`)) return false;
    if (method === 'PATCH') return true;
    const { status } = JSON.parse(text) as CaptchaTask;
    return status !== undefined && says(status);
  };

/** The first status write that shows the entry of this task. */
export const shows = (name: string): Matches => tells(name, ({ attempts }) => (attempts ?? 0) >= 1);

/** A status write with the provider's id of a submission that goes on. */
export const records = (name: string): Matches => tells(name, ({ phase }) => phase === 'Submitted');

export const fails = (name: string): Matches => tells(name, ({ phase }) => phase === 'Failed');

/** The call of in.php for this task. */
export const calls =
  (page: string): Matches =>
  ({ method, url, text }) =>
    method === 'POST' && url.startsWith('/in.php') && new URLSearchParams(text).get('pageurl') === page;

/** A list of the tasks, be it streamed or in pages. */
export const lists: Matches = ({ method, url }) =>
  method === 'GET' && /\/captchatasks\?/.test(url) && /sendInitialEvents=true|limit=/.test(url);

export const releasesLease: Matches = ({ method, url, text }) =>
  method === 'PUT' && /\/leases\//.test(url) && /"holderIdentity":""/.test(text);

/** The intent of a second attempt, in status. */
export const submitsAgain = (name: string): Matches => tells(name, ({ attempts }) => (attempts ?? 0) >= 2);

export const every =
  (...all: readonly Matches[]): Matches =>
  (seen) =>
    all.every((one) => one(seen));
