/**
 * The health checks of examples/ for Flux and Argo CD, judged by the evaluators of the two (test/support/gitops) over
 * statuses that the product's own transitions make, and tasks without any. kstatus, the real one, judges the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from '../clients/python.ts';
import { UNKNOWN_REASONS } from '../../src/api/names.ts';
import { aTask } from '../support/builders.ts';
import { goProgram } from '../support/go-program.ts';
import { ROOT } from '../support/kubectl.ts';
import { CONFLICT, aLetter } from '../support/letters.ts';

interface Verdict {
  kstatus: string;
  flux: string;
  argo: string;
  message: string;
}

const example = (name: string): unknown => parse(readFileSync(join(ROOT, 'examples', name), 'utf8'));
const PREFIX = 'resource.customizations.health.captcha-operator.io_';

interface Stored {
  metadata: object;
  status?: unknown;
}

async function judge(objects: Stored[]): Promise<Verdict[]> {
  const { data } = example('argocd-health.yaml') as { data: Record<string, string> };
  const lua = Object.fromEntries(Object.entries(data).map(([key, script]) => [key.replace(PREFIX, ''), script]));
  const { spec } = example('flux.yaml') as { spec: { healthCheckExprs: [object] } };
  const program = await goProgram('gitops-verdicts', 'test/support/gitops');
  const asked = JSON.stringify({ objects: objects.map(asStored), lua, flux: spec.healthCheckExprs[0] });
  return JSON.parse(await run(program, [], { PATH: '' }, asked)) as Verdict[];
}

/** As the API server stores it: it notes who wrote the object, and who its status. */
function asStored(object: Stored): object {
  const written = [{ manager: 'kustomize-controller', operation: 'Apply' }];
  const status = [{ manager: 'captcha-operator', operation: 'Update', subresource: 'status' }];
  const managedFields = object.status === undefined ? written : [...written, ...status];
  return { ...object, metadata: { ...object.metadata, managedFields } };
}

const letter = () => aLetter({ error: CONFLICT });
const pending = letter().introduced();
const CASES: [what: string, object: Stored, expected: Partial<Verdict>][] = [
  ['a task without status', aTask().build(), { flux: 'InProgress', argo: 'Progressing' }],
  ...UNKNOWN_REASONS.filter((reason) => reason !== 'DeadLettered').map((reason): (typeof CASES)[number] => {
    const task = aTask().waiting(reason).build();
    const isStalled = task.status?.conditions?.some(({ type, status }) => type === 'Stalled' && status === 'True');
    const failed = { kstatus: 'Failed', flux: 'Failed', argo: 'Degraded' };
    const waits = { kstatus: 'InProgress', flux: 'InProgress', argo: 'Progressing' };
    return [`a task that waits, reason ${reason}`, task, isStalled === true ? failed : waits];
  }),
  [
    'a task that is being submitted',
    aTask().intended().build(),
    { kstatus: 'InProgress', flux: 'InProgress', argo: 'Progressing' },
  ],
  [
    'a task at the provider',
    aTask().intended().submitted().build(),
    { kstatus: 'InProgress', flux: 'InProgress', argo: 'Progressing' },
  ],
  [
    'a task with a letter',
    aTask().intended().submitted().marked().markConfirmed().build(),
    { kstatus: 'InProgress', flux: 'InProgress', argo: 'Progressing' },
  ],
  [
    'a suspended task',
    aTask().spec({ suspend: true }).waiting('Suspended').build(),
    { flux: 'InProgress', argo: 'Suspended' },
  ],
  [
    'a solved task',
    aTask().intended().submitted().solved().build(),
    { kstatus: 'Current', flux: 'Current', argo: 'Healthy' },
  ],
  ['a failed task', aTask().intended().failed().build(), { kstatus: 'Failed', flux: 'Failed', argo: 'Degraded' }],
  ['a letter without status', letter().build(), { argo: 'Progressing' }],
  ['a letter that waits', pending.build(), { argo: 'Progressing' }],
  ['a resolved letter', pending.retried({ kind: 'resolved' }, 0).build(), { argo: 'Healthy' }],
];

let verdicts: Verdict[];
beforeAll(async () => {
  verdicts = await judge(CASES.map(([, object]) => object));
}, 600_000);

describe('Argo CD, Flux and kstatus', () => {
  test.each(CASES.map(([what, , expected], index) => [what, expected, index] as const))(
    'judge %s as %o',
    (_, expected, index) => {
      expect(verdicts[index]).toMatchObject(expected);
    },
  );

  test('have cases in which each says yes, no and not yet', () => {
    expect(verdicts.map(({ flux }) => flux)).toEqual(expect.arrayContaining(['InProgress', 'Failed', 'Current']));
    expect(verdicts.map(({ argo }) => argo)).toEqual(
      expect.arrayContaining(['Progressing', 'Degraded', 'Healthy', 'Suspended']),
    );
  });
});
