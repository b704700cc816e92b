/**
 * A callback of a first submission that status does not show: the sidecar dies before and after its write, and the
 * operator's write about the same task comes before it and after it. The reply of in.php is unread all the while.
 */
import type { CaptchaTaskSpec } from '../../../src/api/captchatask.ts';
import type { Script } from '../../../dev/simulator/script.ts';
import type { Cell, End } from '../cell.ts';
import type { Place, Stopped } from '../checkpoint.ts';
import { calls, records, tells } from '../requests.ts';
import type { Row } from './point.ts';

const UNSOLVABLE = 'ERROR_CAPTCHA_UNSOLVABLE';
const ON_COMMAND = [{ onCommand: true }];

interface Kind {
  spec?: (cell: Cell, name: string) => Partial<CaptchaTaskSpec>;
  script: Script;
  end: End;
}

/** What a callback can be. */
const KINDS: Readonly<Record<string, Kind>> = {
  result: { script: { tasks: [{ pingbacks: ON_COMMAND }] }, end: { paid: 1 } },
  word: {
    script: { tasks: [{ result: { code: UNSOLVABLE }, pingbacks: ON_COMMAND }] },
    end: { paid: 1, reason: 'Unsolvable' },
  },
  // Its result needs more than a callback carries.
  hint: {
    spec: (cell, name) => ({
      captcha: {
        type: 'RecaptchaV2',
        recaptchaV2: {
          siteKey: '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-',
          pageURL: cell.page(name),
          enterprise: true,
        },
      },
    }),
    script: { tasks: [{ pingbacks: ON_COMMAND }] },
    end: { paid: 1 },
  },
  // Somebody else has the Secret for its result: a letter holds the task until that is gone.
  mark: {
    spec: (_cell, name) => ({ solutionSecretName: name }),
    script: { tasks: [{ pingbacks: ON_COMMAND }] },
    end: { paid: 1 },
  },
};

const secrets = ({ namespace }: Cell): string => `/api/v1/namespaces/${namespace}/secrets`;

/** One task of each kind, accepted and solved; the operator does not know. */
async function callAll(cell: Cell, round: string, hasStatus: boolean) {
  await cell.prime();
  const all = Object.entries(KINDS).map(([kind, how]) => ({ kind, name: `${kind}-${round}`, ...how }));
  const replies = all.map(({ name }) => cell.life.provider.stop('after', calls(cell.page(name))));
  for (const { kind, name, spec, script, end } of all) {
    if (kind === 'mark') await cell.ground.admin.create(secrets(cell), { kind: 'Secret', metadata: { name } });
    await cell.apply(name, end, { spec: { ...spec?.(cell, name), suspend: hasStatus }, script });
    if (hasStatus) await resume(cell, name);
  }
  const unread = await Promise.all(replies);
  return { names: all.map(({ name }) => name), unread };
}

/** Its status says that it was suspended; attempts are 0. */
async function resume(cell: Cell, name: string): Promise<void> {
  const { status } = await cell.until(name, 'has a status', ({ status: seen }) => seen?.phase !== undefined);
  if ((status?.attempts ?? 0) !== 0) throw new Error(`${name} was submitted`);
  const path = `/apis/captcha-operator.io/v1alpha1/namespaces/${cell.namespace}/captchatasks/${name}`;
  await cell.ground.admin.patch(path, { spec: { suspend: false } }, 'merge');
}

/** The provider calls back for each; resolves with the statuses of the answers, where they came. */
async function callBack(cell: Cell, names: readonly string[]): Promise<number[]> {
  const { simulator } = cell.ground;
  const told = names.map(async (name) => {
    const [submission] = await cell.submissions(name);
    return simulator.control.pingback({ id: submission?.id ?? '', step: codeFor(name) });
  });
  return Promise.all(told);
}

/** The simulator has solved none of them while in.php was not answered, as far as it knows. */
function codeFor(name: string): { code: string } {
  return { code: name.startsWith('word') ? UNSOLVABLE : `solution-of-${name}` };
}

async function letGo(cell: Cell, names: readonly string[], unread: readonly Stopped[]): Promise<void> {
  for (const one of unread) void one.release();
  const blocked = names.filter((name) => name.startsWith('mark'));
  for (const name of blocked) {
    const isLettered = cell.until(name, 'is held by a letter', ({ status }) => status?.deadLetter?.confirmed === true);
    await isLettered;
    await cell.ground.admin.delete(`${secrets(cell)}/${name}`);
  }
}

/** The sidecar dies at its write about each of them, and comes back. */
export async function dieAtWrites(cell: Cell, place: Place, hasStatus: boolean): Promise<void> {
  const { sidecar } = cell.ground;
  const { names, unread } = await callAll(cell, `${place}-${hasStatus}`, hasStatus);
  const writes = names.map((name) => sidecar.api.stop(place, tells(name)));
  const answers = callBack(cell, names);
  await Promise.all(writes);
  await sidecar.restart();
  await answers;
  // A provider that was not answered 200 says it again.
  await callBack(cell, names);
  await letGo(cell, names, unread);
}

export const SIDECAR: Row = [
  {
    name: '11: before the write of a result, an error word, a hint and a mark, for tasks without a status',
    run: (cell) => dieAtWrites(cell, 'before', false),
  },
  {
    name: '11/u: the same, made and its reply unread, for tasks with a status',
    run: (cell) => dieAtWrites(cell, 'after', true),
  },
  {
    name: '11: the operator writes the id after the sidecar',
    async run(cell) {
      const { names, unread } = await callAll(cell, 'first', false);
      await callBack(cell, names);
      await letGo(cell, names, unread);
    },
  },
  {
    name: '11: the operator writes the id before the sidecar, which had judged without it',
    async run(cell) {
      const { names, unread } = await callAll(cell, 'second', true);
      const writes = names.map((name) => cell.ground.sidecar.api.stop('before', tells(name)));
      const answers = callBack(cell, names);
      const held = await Promise.all(writes);
      const recorded = names.map((name) => cell.life.api.pass(records(name)));
      for (const one of unread) void one.release();
      await Promise.all(recorded);
      for (const one of held) void one.release();
      await answers;
      await letGo(cell, names, []);
    },
  },
];
