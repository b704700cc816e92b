/**
 * A person changes a task between the answer to its journal write and its call, and the watch does not tell of it in
 * time: the call is made, and nothing else is lost or paid.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { Cell } from '../cell.ts';
import { API_VERSION } from '../../../src/api/names.ts';
import { calls, enters } from '../requests.ts';
import type { Point, Row } from './point.ts';

const pathOf = ({ namespace }: Cell, name: string): string =>
  `/apis/${API_VERSION}/namespaces/${namespace}/captchatasks/${name}`;

/** The task is entered, changed unseen, and called for; then the watch tells. */
async function changeUnseen(cell: Cell, name: string, change: () => Promise<unknown>): Promise<void> {
  const { api, provider } = cell.life;
  const entered = api.stop('after', enters(name));
  await cell.apply(name, undefined);
  const unread = await entered;
  api.freeze();
  await change();
  const called = provider.pass(calls(cell.page(name)));
  await unread.release();
  await called;
  api.thaw();
}

async function patchSpec(cell: Cell, name: string, spec: object): Promise<void> {
  await cell.ground.admin.patch(pathOf(cell, name), { spec }, 'merge');
}

const isSuspended = ({ status }: CaptchaTask): boolean =>
  status?.conditions?.some(({ type, reason }) => type === 'Solved' && reason === 'Suspended') === true;

const deleted: Point = {
  name: '12: its task is deleted',
  async run(cell) {
    await cell.prime();
    await changeUnseen(cell, 'deleted', () => cell.ground.admin.delete(pathOf(cell, 'deleted')));
    const paid = (await cell.submissions('deleted')).filter((one) => one.paid).length;
    if (paid !== 1) throw new Error(`it was paid ${paid} times`);
  },
};

export const CHANGED: Row = [
  deleted,
  {
    name: '12: its task is deleted and created again',
    run: (cell) =>
      changeUnseen(cell, 'created-again', async () => {
        await cell.ground.admin.delete(pathOf(cell, 'created-again'));
        // Each of the two is paid for once.
        await cell.apply('created-again', { paid: 2, attempts: 1 });
      }),
  },
  {
    name: '12: its task is suspended, and resumed later',
    async run(cell) {
      cell.expect('suspended', { paid: 1 });
      await changeUnseen(cell, 'suspended', () => patchSpec(cell, 'suspended', { suspend: true }));
      await cell.until('suspended', 'is suspended', isSuspended);
      await patchSpec(cell, 'suspended', { suspend: false });
    },
  },
  {
    name: '12: its task is given another API key: its result is asked for with the one that paid',
    async run(cell) {
      const secret = {
        kind: 'Secret',
        metadata: { name: 'other' },
        stringData: { key: 'other0key0other0key0other0key000' },
      };
      await cell.ground.admin.create(`/api/v1/namespaces/${cell.namespace}/secrets`, secret);
      cell.expect('other-key', { paid: 1 });
      const apiKeySecretRef = { name: 'other', key: 'key' };
      await changeUnseen(cell, 'other-key', () => patchSpec(cell, 'other-key', { apiKeySecretRef }));
    },
  },
];
