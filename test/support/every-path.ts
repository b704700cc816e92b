/** Applies one task for each path, in one world, and waits until each is at its end. For tests that look at totals. */
import type { CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import type { Script } from '../../dev/simulator/script.ts';
import type { World } from './processes.ts';
import { waitUntil } from './wait-until.ts';

interface Path {
  spec?: Partial<CaptchaTaskSpec>;
  script?: Script;
  end: 'Solved' | 'Failed';
}

const PATHS: Record<string, Path> = {
  callback: { end: 'Solved' },
  lost: { end: 'Solved', spec: { callbackTimeoutSeconds: 1 }, script: { tasks: [{ pingbacks: [] }] } },
  'poll-only': { end: 'Solved', spec: { delivery: 'Poll' } },
  twice: { end: 'Solved', script: { tasks: [{ pingbacks: [{}, { afterMs: 300 }] }] } },
  contradicted: { end: 'Solved', script: { tasks: [{ pingbacks: [{}, { afterMs: 300, code: 'another answer' }] }] } },
  early: { end: 'Solved', script: { tasks: [{ solveAfterMs: 0, pingbacks: [{ beforeReply: true }] }] } },
  unknown: { end: 'Solved', script: { submit: [{ fault: 'html500', accept: true }] } },
  busy: { end: 'Solved', script: { submit: [{ code: 'ERROR_NO_SLOT_AVAILABLE' }, { accept: true }] } },
  'not-ready': { end: 'Solved', script: { tasks: [{ pingbacks: [{ code: 'CAPCHA_NOT_READY' }, { afterMs: 200 }] }] } },
  permanent: { end: 'Failed', script: { submit: [{ code: 'ERROR_PAGEURL' }] } },
  unsolvable: {
    end: 'Failed',
    spec: { backoffLimit: 1 },
    script: { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }] },
  },
  deadline: { end: 'Failed', spec: { activeDeadlineSeconds: 2 }, script: { tasks: [{ result: 'never' }] } },
  blocked: { end: 'Solved', spec: { solutionSecretName: 'foreign' } },
};

/** How many tasks there are. */
export const PATH_COUNT = Object.keys(PATHS).length;

export async function runEveryPath(world: World): Promise<void> {
  await world.createSecret('foreign', { value: 'somebody else wrote this' });
  for (const [name, { spec, script }] of Object.entries(PATHS)) {
    await world.apply(name, { ...(spec === undefined ? {} : { spec }), ...(script === undefined ? {} : { script }) });
  }
  await waitUntil('the dead letter to be written', async () => (await world.letters()).length === 1);
  await world.deleteSecret('foreign');
  for (const [name, { end }] of Object.entries(PATHS)) await world.untilPhase(name, end);
  await waitUntil('every callback to be answered', async () => {
    const all = await Promise.all(Object.keys(PATHS).map((name) => world.submissions(name)));
    return all.flat().every(({ pingbacks }) => pingbacks.every((pingback) => pingback.status !== undefined));
  });
}
