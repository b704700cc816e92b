/**
 * The rules of `crds/captchatask.yaml` on a real API server: what is accepted, and for every CEL rule a write that is
 * refused by that very rule (the last test counts them), through the main resource or through `/status`.
 */
import { beforeAll, describe, expect, test } from 'vitest';

import { CAPTCHA_TYPES, type CaptchaType } from '../../src/api/names.ts';
import { messageOf, objectOf, type AdminReply } from '../../dev/control-plane/index.ts';
import { admin, createNamespace, pathOf } from '../support/cluster.ts';
import { readDefinition, walkSchema } from '../support/crd-schema.ts';
import { CAPTCHAS, FULL_SPEC, taskManifest, type Json } from '../support/manifests.ts';

interface Stored {
  metadata: { name: string; resourceVersion: string };
  spec: Json;
  status?: Json;
}

const RULES = {
  union: (member: string, type: string) =>
    `spec.captcha.${member} must be set exactly when spec.captcha.type is ${type}`,
  captcha: 'spec.captcha is immutable',
  proxy: 'spec.proxy is immutable',
  proxyRequired: 'spec.proxy is required when spec.captcha.type is CloudflareChallenge',
  foxProxyRequired: 'spec.proxy is required when spec.captcha.type is CaptchaFox',
  proxyAddress: 'spec.proxy needs exactly one of secretRef and address',
  apiKey: 'spec.apiKeySecretRef is immutable once the task was submitted',
  secretName: 'spec.solutionSecretName is immutable once the task was submitted',
  imageBody: 'spec.captcha.image needs exactly one of body and bodyFrom',
  imageLength: 'spec.captcha.image.minLength must not be greater than maxLength',
  imageSource: 'spec.captcha.image.bodyFrom needs exactly one of configMapKeyRef and secretKeyRef',
  gridBody: 'spec.captcha.grid needs exactly one of body and bodyFrom',
  gridSize: 'spec.captcha.grid.rows and columns must both be 3 or both be 4',
  gridInstructions: 'spec.captcha.grid.instructions is required',
  gridSource: 'spec.captcha.grid.bodyFrom needs exactly one of configMapKeyRef and secretKeyRef',
  customNames: 'names in spec.captcha.custom.parameters match',
  customReserved: 'spec.captcha.custom.parameters may not set',
  removed: 'status must not be removed',
  phase: 'status.phase is final once it is Solved or Failed',
  phaseKept: 'status.phase is never removed',
  solution: 'status.solution is final',
  solutionUnion: 'status.solution needs exactly one of value and secretRef',
  solutionSize: 'status.solution.value holds at most 12288 bytes',
  attempts: 'status.attempts never decreases and is never removed',
  completion: 'status.completionTime is fixed once it is set',
  attempt: 'status.submission.attempt never decreases',
  idFixed: 'status.submission.captchaID is fixed within an attempt',
  idKept: 'status.submission.captchaID is not removed while its attempt lasts',
} as const;

const MEMBERS = Object.fromEntries(
  CAPTCHA_TYPES.map((type) => [type, Object.keys(CAPTCHAS[type]).find((key) => key !== 'type') ?? '']),
) as Record<CaptchaType, string>;

let namespace = '';
let count = 0;
beforeAll(async () => {
  namespace = await createNamespace({ prefix: 'crd' });
});

function create(manifest: Json): Promise<AdminReply> {
  return admin.create(pathOf('captchatasks', namespace), manifest);
}

async function createTask(spec: Json = {}, type: CaptchaType = 'RecaptchaV2'): Promise<Stored> {
  count += 1;
  return objectOf<Stored>(await create(taskManifest(type, { name: `task-${count}`, spec })));
}

function writeStatus(task: Stored, status: Json | undefined): Promise<AdminReply> {
  const { status: _, ...rest } = task;
  return admin.replace(
    pathOf('captchatasks', namespace, task.metadata.name, 'status'),
    status === undefined ? rest : { ...rest, status },
  );
}

function changeSpec(task: Stored, spec: Json): Promise<AdminReply> {
  return admin.patch(pathOf('captchatasks', namespace, task.metadata.name), { spec }, 'merge');
}

function expectRefused(reply: AdminReply, message: string): void {
  expect({ status: reply.status, message: messageOf(reply) }).toEqual({
    status: 422,
    message: expect.stringContaining(message) as string,
  });
}

describe('a valid manifest', () => {
  test.each(CAPTCHA_TYPES)('of type %s is accepted with every optional field and gets the defaults', async (type) => {
    const task = objectOf<Stored>(await create(taskManifest(type, { name: `valid-${type.toLowerCase()}` })));
    expect(task.spec).toMatchObject({
      captcha: CAPTCHAS[type],
      delivery: 'Callback',
      callbackTimeoutSeconds: 120,
      activeDeadlineSeconds: 600,
      backoffLimit: 0,
      suspend: false,
    });
  });

  test('with every field of spec is stored as it was written', async () => {
    expect((await createTask(FULL_SPEC)).spec).toMatchObject(FULL_SPEC);
  });

  test.each([
    { image: { bodyFrom: { configMapKeyRef: { name: 'images', key: 'login.png' } } } },
    { image: { bodyFrom: { secretKeyRef: { name: 'images', key: 'login.png' } } } },
    { image: { body: 'AAAA', minLength: 4, maxLength: 0 } },
    { image: { body: 'A'.repeat(200_000) } },
  ])('accepts the image %#', async (member) => {
    await createTask({ captcha: { type: 'Image', ...member } });
  });
});

describe('a proxy', () => {
  test.each(['proxy.example.com:3128', 'user:pass@198.51.100.7:3128', '[2001:db8::1]:1080'])(
    'may be given by its address %s',
    async (address) => {
      const spec = { proxy: { type: 'SOCKS5', address } };
      expect((await createTask(spec)).spec).toMatchObject(spec);
    },
  );
});

describe('a grid', () => {
  test.each([3, 4])('of %d by as many cells is accepted', async (size) => {
    await createTask({
      captcha: { type: 'Grid', grid: { body: 'AAAA', rows: size, columns: size, instructions: 'all buses' } },
    });
  });
});

describe('the union in spec.captcha', () => {
  test.each(CAPTCHA_TYPES)('refuses type %s without its member', async (type) => {
    const reply = await create(taskManifest(type, { spec: { captcha: { type } } }));
    expectRefused(reply, RULES.union(MEMBERS[type], type));
  });

  test.each(CAPTCHA_TYPES)('refuses the member of %s beside another type', async (type) => {
    const other = type === 'GeeTestV4' ? 'RecaptchaV2' : 'GeeTestV4';
    const captcha = { ...CAPTCHAS[other], [MEMBERS[type]]: CAPTCHAS[type][MEMBERS[type]] };
    const reply = await create(taskManifest(other, { spec: { captcha } }));
    expectRefused(reply, RULES.union(MEMBERS[type], type));
  });
});

const image = { body: 'AAAA' };
const bothSources = { configMapKeyRef: { name: 'a', key: 'b' }, secretKeyRef: { name: 'a', key: 'b' } };
const REFUSED_SPECS: { name: string; spec: Json; message: string }[] = [
  {
    name: 'CloudflareChallenge without a proxy',
    spec: { captcha: CAPTCHAS.CloudflareChallenge },
    message: RULES.proxyRequired,
  },
  { name: 'CaptchaFox without a proxy', spec: { captcha: CAPTCHAS.CaptchaFox }, message: RULES.foxProxyRequired },
  { name: 'a proxy without an address', spec: { proxy: { type: 'HTTP' } }, message: RULES.proxyAddress },
  {
    name: 'a proxy with two addresses',
    spec: { proxy: { type: 'HTTP', address: 'u:p@h:1', secretRef: { name: 'proxy', key: 'address' } } },
    message: RULES.proxyAddress,
  },
  ...['h', 'h:', 'h:p', ':1', 'a b:1', 'h:123456', 'http://'].map((address) => ({
    name: `the proxy address "${address}"`,
    spec: { proxy: { type: 'HTTP', address } },
    message: 'spec.proxy.address',
  })),
  { name: 'an image without a body', spec: { captcha: { type: 'Image', image: {} } }, message: RULES.imageBody },
  {
    name: 'an image with two bodies',
    spec: { captcha: { type: 'Image', image: { ...image, bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } } } },
    message: RULES.imageBody,
  },
  {
    name: 'an image whose shortest text is longer than its longest',
    spec: { captcha: { type: 'Image', image: { ...image, minLength: 7, maxLength: 6 } } },
    message: RULES.imageLength,
  },
  {
    name: 'an image from nowhere',
    spec: { captcha: { type: 'Image', image: { bodyFrom: {} } } },
    message: RULES.imageSource,
  },
  {
    name: 'an image from two places',
    spec: { captcha: { type: 'Image', image: { bodyFrom: bothSources } } },
    message: RULES.imageSource,
  },
  { name: 'a grid without a body', spec: { captcha: { type: 'Grid', grid: { rows: 3 } } }, message: RULES.gridBody },
  {
    name: 'a grid with two bodies',
    spec: { captcha: { type: 'Grid', grid: { ...image, bodyFrom: { secretKeyRef: { name: 'a', key: 'b' } } } } },
    message: RULES.gridBody,
  },
  ...[{}, { rows: 3 }, { columns: 4 }, { rows: 3, columns: 4 }, { rows: 5, columns: 5 }, { rows: 2, columns: 2 }].map(
    (size) => ({
      name: `a grid of ${JSON.stringify(size)}`,
      spec: { captcha: { type: 'Grid', grid: { ...image, instructions: 'buses', ...size } } },
      message: RULES.gridSize,
    }),
  ),
  ...[{}, { instructions: '' }].map((instructions) => ({
    name: `a grid that says ${JSON.stringify(instructions)}`,
    spec: { captcha: { type: 'Grid', grid: { ...image, rows: 4, columns: 4, ...instructions } } },
    message: RULES.gridInstructions,
  })),
  {
    name: 'a grid from nowhere',
    spec: { captcha: { type: 'Grid', grid: { bodyFrom: {} } } },
    message: RULES.gridSource,
  },
  {
    name: 'a grid from two places',
    spec: { captcha: { type: 'Grid', grid: { bodyFrom: bothSources } } },
    message: RULES.gridSource,
  },
  ...['key', 'json', 'pingback', 'method', 'proxy', 'proxytype', 'KEY', 'PingBack', 'proxyType'].map((name) => ({
    name: `the reserved parameter ${name}`,
    spec: { captcha: { type: 'Custom', custom: { method: 'new', parameters: { [name]: 'x' } } } },
    message: RULES.customReserved,
  })),
  ...['1st', '', 'a b', 'a[0]', 'a=b', '_id', 'ключ', `a${'b'.repeat(64)}`].map((name) => ({
    name: `the parameter name "${name}"`,
    spec: { captcha: { type: 'Custom', custom: { method: 'new', parameters: { [name]: 'x' } } } },
    message: RULES.customNames,
  })),
];

describe('an invalid manifest', () => {
  test.each(REFUSED_SPECS)('is refused: $name', async ({ spec, message }) => {
    expectRefused(await create(taskManifest('RecaptchaV2', { spec })), message);
  });

  test.each(['keyboard', 'proxies', 'json_format', 'a-b', 'Method2'])(
    'does not refuse the parameter %s',
    async (name) => {
      await createTask({ captcha: { type: 'Custom', custom: { method: 'new', parameters: { [name]: '' } } } });
    },
  );
});

const proxy = { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } };
const keyRef = { name: 'captchaai', key: 'api-key' };
interface SpecChange {
  name: string;
  from: Json;
  attempts?: number;
  change: Json;
  message: string;
}
const REFUSED_CHANGES: SpecChange[] = [
  {
    name: 'another page',
    from: {},
    change: { captcha: { recaptchaV2: { pageURL: 'https://example.org' } } },
    message: RULES.captcha,
  },
  {
    name: 'an added option',
    from: { captcha: CAPTCHAS.GeeTestV4 },
    change: { captcha: { geeTestV4: { captchaID: 'x' } } },
    message: RULES.captcha,
  },
  { name: 'another proxy', from: { proxy }, change: { proxy: { type: 'HTTPS' } }, message: RULES.proxy },
  {
    name: 'an address in place of a reference',
    from: { proxy },
    change: { proxy: { secretRef: null, address: 'h:1' } },
    message: RULES.proxy,
  },
  { name: 'a removed proxy', from: { proxy }, change: { proxy: null }, message: RULES.proxy },
  { name: 'an added proxy', from: {}, change: { proxy }, message: RULES.proxy },
  {
    name: 'another key',
    from: { apiKeySecretRef: keyRef },
    attempts: 1,
    change: { apiKeySecretRef: { name: 'b' } },
    message: RULES.apiKey,
  },
  {
    name: 'a removed key',
    from: { apiKeySecretRef: keyRef },
    attempts: 1,
    change: { apiKeySecretRef: null },
    message: RULES.apiKey,
  },
  { name: 'an added key', from: {}, attempts: 2, change: { apiKeySecretRef: keyRef }, message: RULES.apiKey },
  {
    name: 'another Secret',
    from: { solutionSecretName: 'a' },
    attempts: 1,
    change: { solutionSecretName: 'b' },
    message: RULES.secretName,
  },
  {
    name: 'a removed Secret',
    from: { solutionSecretName: 'a' },
    attempts: 1,
    change: { solutionSecretName: null },
    message: RULES.secretName,
  },
  { name: 'an added Secret', from: {}, attempts: 1, change: { solutionSecretName: 'a' }, message: RULES.secretName },
];

describe('a change of spec', () => {
  test.each(REFUSED_CHANGES)(
    'is refused: $name, after $attempts attempts',
    async ({ from, attempts, change, message }) => {
      const task = await createTask(from);
      if (attempts !== undefined) objectOf(await writeStatus(task, { attempts }));
      expectRefused(await changeSpec(task, change), message);
    },
  );

  test.each([
    {
      name: 'key and Secret before the first attempt',
      attempts: 0,
      change: { apiKeySecretRef: keyRef, solutionSecretName: 'a' },
    },
    {
      name: 'times, limits and suspend at any time',
      attempts: 1,
      change: { suspend: true, activeDeadlineSeconds: 9, backoffLimit: 3 },
    },
    {
      name: 'delivery and retention at any time',
      attempts: 1,
      change: { delivery: 'Poll', ttlSecondsAfterFinished: 0 },
    },
  ])('is accepted: $name', async ({ attempts, change }) => {
    const task = await createTask();
    objectOf(await writeStatus(task, { attempts }));
    expect(objectOf<Stored>(await changeSpec(task, change)).spec).toMatchObject(change);
  });
});

const time = '2026-01-01T00:00:00Z';
const later = '2026-01-01T00:00:01Z';
const submission = { attempt: 1, intentTime: time, intentBy: 'operator-0/1', pingback: true };
const accepted = { ...submission, submittedTime: time, captchaID: '7383820914', pollAfterTime: time };
const submitted = { phase: 'Submitted', attempts: 1, submission: accepted };
const solution = { value: 'token', source: 'Callback', attempt: 1, captchaID: '7383820914', receivedTime: time };
const solved = { ...submitted, phase: 'Solved', completionTime: time, solution };
const failed = {
  phase: 'Failed',
  attempts: 1,
  completionTime: time,
  failure: { class: 'Deadline', message: 'too late' },
};

interface StatusChange {
  name: string;
  from: Json;
  to: Json | undefined;
  message: string;
}
function without(status: Json, field: string): Json {
  return Object.fromEntries(Object.entries(status).filter(([name]) => name !== field));
}
const REFUSED_STATUSES: StatusChange[] = [
  { name: 'status removed', from: submitted, to: undefined, message: RULES.removed },
  { name: 'Solved to Failed', from: solved, to: { ...solved, phase: 'Failed' }, message: RULES.phase },
  { name: 'Failed to Pending', from: failed, to: { ...failed, phase: 'Pending' }, message: RULES.phase },
  { name: 'Failed to Solved', from: failed, to: { ...failed, phase: 'Solved', solution }, message: RULES.phase },
  { name: 'a finished phase removed', from: solved, to: without(solved, 'phase'), message: RULES.phase },
  { name: 'a running phase removed', from: submitted, to: without(submitted, 'phase'), message: RULES.phaseKept },
  {
    name: 'another solution',
    from: solved,
    to: { ...solved, solution: { ...solution, value: 'b' } },
    message: RULES.solution,
  },
  {
    name: 'another source',
    from: solved,
    to: { ...solved, solution: { ...solution, source: 'Poll' } },
    message: RULES.solution,
  },
  { name: 'a solution removed', from: solved, to: without(solved, 'solution'), message: RULES.solution },
  {
    name: 'a solution moved to a Secret',
    from: solved,
    to: { ...solved, solution: { ...without(solution, 'value'), secretRef: { name: 'a' } } },
    message: RULES.solution,
  },
  {
    name: 'a solution in two places',
    from: submitted,
    to: { ...solved, solution: { ...solution, secretRef: { name: 'a' } } },
    message: RULES.solutionUnion,
  },
  {
    name: 'a solution nowhere',
    from: submitted,
    to: { ...solved, solution: without(solution, 'value') },
    message: RULES.solutionUnion,
  },
  {
    name: 'a solution of too many bytes',
    from: submitted,
    to: { ...solved, solution: { ...solution, value: 'é'.repeat(6_145) } },
    message: RULES.solutionSize,
  },
  { name: 'fewer attempts', from: { attempts: 2 }, to: { attempts: 1 }, message: RULES.attempts },
  { name: 'attempts removed', from: submitted, to: without(submitted, 'attempts'), message: RULES.attempts },
  { name: 'another completionTime', from: solved, to: { ...solved, completionTime: later }, message: RULES.completion },
  { name: 'completionTime removed', from: failed, to: without(failed, 'completionTime'), message: RULES.completion },
  {
    name: 'an earlier attempt',
    from: { attempts: 2, submission: { ...submission, attempt: 2 } },
    to: { attempts: 2, submission },
    message: RULES.attempt,
  },
  {
    name: 'another id',
    from: submitted,
    to: { ...submitted, submission: { ...accepted, captchaID: '1' } },
    message: RULES.idFixed,
  },
  {
    name: 'another id after the end',
    from: { ...submitted, submission: { ...accepted, endTime: time } },
    to: { ...submitted, submission: { ...accepted, captchaID: '1', endTime: time } },
    message: RULES.idFixed,
  },
  { name: 'the id removed', from: submitted, to: { ...submitted, submission }, message: RULES.idKept },
  { name: 'the submission removed', from: submitted, to: without(submitted, 'submission'), message: RULES.idKept },
];
const ACCEPTED_STATUSES: { name: string; from: Json; to: Json }[] = [
  {
    name: 'an intent given back',
    from: { phase: 'Submitting', attempts: 1, submission },
    to: { phase: 'Pending', attempts: 1 },
  },
  { name: 'an id adopted', from: { phase: 'Submitting', attempts: 1, submission }, to: submitted },
  { name: 'a solution', from: submitted, to: solved },
  {
    name: 'a solution without a submission',
    from: { phase: 'Pending', attempts: 1 },
    to: without(solved, 'submission'),
  },
  { name: 'the same status again', from: solved, to: solved },
  { name: 'a finished task that gets other conditions', from: solved, to: { ...solved, conditions: [] } },
  {
    name: 'a new attempt',
    from: { ...submitted, submission: { ...accepted, endTime: time, code: 'ERROR_CAPTCHA_UNSOLVABLE' } },
    to: { phase: 'Submitting', attempts: 2, submission: { ...submission, attempt: 2 } },
  },
  {
    name: 'an ended attempt put away',
    from: { ...submitted, submission: { ...accepted, endTime: time } },
    to: { phase: 'Pending', attempts: 1 },
  },
  {
    name: 'a solution of just 12,288 bytes',
    from: submitted,
    to: { ...solved, solution: { ...solution, value: 'é'.repeat(6_144) } },
  },
  { name: 'a startTime cleared by suspend', from: { ...submitted, startTime: time }, to: submitted },
  { name: 'a mark dropped', from: { ...submitted, deadLetter: { name: 'a', time } }, to: submitted },
];

describe('a change of status', () => {
  test.each(REFUSED_STATUSES)('is refused: $name', async ({ from, to, message }) => {
    const task = objectOf<Stored>(await writeStatus(await createTask(), from));
    expectRefused(await writeStatus(task, to), message);
  });

  test.each(ACCEPTED_STATUSES)('is accepted: $name', async ({ from, to }) => {
    const task = objectOf<Stored>(await writeStatus(await createTask(), from));
    expect(objectOf<Stored>(await writeStatus(task, to)).status).toEqual(to);
  });

  test('cannot be made through the main resource, nor a change of spec through /status', async () => {
    const task = objectOf<Stored>(await writeStatus(await createTask(), submitted));
    const path = pathOf('captchatasks', namespace, task.metadata.name);
    const viaMain = await admin.patch(path, { status: { attempts: 9 } }, 'merge');
    expect(objectOf<Stored>(viaMain).status).toMatchObject({ attempts: 1 });
    const viaStatus = await admin.patch(`${path}/status`, { spec: { suspend: true } }, 'merge');
    expect(objectOf<Stored>(viaStatus).spec).toMatchObject({ suspend: false });
  });
});

describe('this file', () => {
  test('has a refused write for every rule of the schema, known by its message', async () => {
    const definition = await readDefinition('crds/captchatask.yaml');
    const rules = walkSchema(definition).flatMap(({ schema }) => schema['x-kubernetes-validations'] ?? []);
    const tables = [...REFUSED_SPECS, ...REFUSED_CHANGES, ...REFUSED_STATUSES].map(({ message }) => message);
    const tested = [...tables, ...CAPTCHA_TYPES.map((type) => RULES.union(MEMBERS[type], type))];
    const untested = rules.filter(({ message }) => !tested.some((text) => message.startsWith(text)));
    expect(untested.map(({ message }) => message)).toEqual([]);
    expect(new Set(rules.map(({ message }) => message)).size).toBe(rules.length);
  });
});
