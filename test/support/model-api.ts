/**
 * The Kubernetes API as pure protocols see it, in memory and synchronous, for unit and property tests only: uids,
 * resourceVersions, whole objects and the status subresource, JSON patches with tests, preconditions, and the transition
 * rules that the CRDs carry as CEL. What it answers is what a real API server was measured to answer; the cluster tests
 * run the same protocols against a real one. Objects are never changed in place, so that nothing has to be copied. A PUT
 * that has the right resourceVersion and still breaks a rule is a bug of whoever made the status: in `strict` mode it
 * throws.
 */
import type { CaptchaTaskStatus } from '../../src/api/captchatask.ts';
import type { DeadLetterStatus } from '../../src/api/deadletter.ts';
import type { OwnerReference } from '../../src/api/conditions.ts';
import type { ApiReply, ApiRequest, JsonPatchOp, Protocol } from '../../src/core/protocol.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../src/api/names.ts';
import { sameJson } from '../../src/core/task/patch.ts';

export interface StoredObject {
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp: string;
    annotations?: Record<string, string>;
    ownerReferences?: OwnerReference[];
  };
  spec?: unknown;
  status?: unknown;
  data?: Record<string, string>;
}

const key = (plural: string, name: string): string => `${plural}/${name}`;

export type Refusal = Extract<ApiReply, { ok: false }>;
/** Answers a request instead of the model, or leaves it to the model. */
export type Fault = (request: ApiRequest) => Refusal | undefined;

export interface ModelApi {
  handle(request: ApiRequest): ApiReply;
  /** Objects as they are, for asserting on the state of the world. */
  read<T = StoredObject>(plural: string, name: string): T | undefined;
  all<T = StoredObject>(plural: string): T[];
  /** All versions of a name, the oldest first; undefined where it was deleted. */
  versions(plural: string, name: string): readonly (StoredObject | undefined)[];
  /** The version of the newest change, deletions included. */
  revision(): number;
  /** Puts an object as given, by somebody's other hand (people, the scheduler of a test). */
  seed(plural: string, object: object): void;
  remove(plural: string, name: string): void;
  /** What cached reads answer: 0 is the newest version, 1 the one before, and so on. */
  lag: number;
  strict: boolean;
  faults: Fault[];
  /** Every request that changed an object, in order. */
  writes: ApiRequest[];
}

export function createModelApi(now: () => number = () => 0): ModelApi {
  const versions = new Map<string, (StoredObject | undefined)[]>();
  let revision = 100;
  let uids = 0;
  const current = (plural: string, name: string): StoredObject | undefined => versions.get(key(plural, name))?.at(-1);
  const keep = (plural: string, name: string, object: StoredObject | undefined): StoredObject | undefined => {
    revision += 1;
    const resourceVersion = String(revision);
    const kept = object && {
      ...object,
      metadata: { ...object.metadata, resourceVersion },
    };
    const list = versions.get(key(plural, name)) ?? [];
    list.push(kept);
    versions.set(key(plural, name), list);
    return kept;
  };
  const stale = (plural: string, name: string): StoredObject | undefined => {
    const list = versions.get(key(plural, name)) ?? [];
    return list[Math.max(0, list.length - 1 - api.lag)];
  };

  function get(request: Extract<ApiRequest, { verb: 'get' }>): ApiReply {
    const { plural } = request.resource;
    const found = request.read === 'cached' ? stale(plural, request.name) : current(plural, request.name);
    return found === undefined ? notFound() : { ok: true, object: found };
  }

  function list({ resource, namespace, fieldSelector }: Extract<ApiRequest, { verb: 'list' }>): ApiReply {
    const [path = '', wanted] = fieldSelector.split('=');
    const items = api.all(resource.plural).filter((object) => {
      const value = path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], object);
      return object.metadata.namespace === namespace && value === wanted;
    });
    return { ok: true, object: { items, metadata: { resourceVersion: String(revision) } } };
  }

  function create(request: Extract<ApiRequest, { verb: 'create' }>): ApiReply {
    const { plural } = request.resource;
    const { status: _dropped, ...object } = request.object as StoredObject;
    const { name } = object.metadata;
    if (current(plural, name) !== undefined) return refusal(409, 'AlreadyExists');
    uids += 1;
    const creationTimestamp = new Date(now()).toISOString();
    api.writes.push(request);
    const metadata = {
      ...object.metadata,
      uid: `uid-${uids}`,
      creationTimestamp,
    };
    return { ok: true, object: keep(plural, name, { ...object, metadata }) };
  }

  function writeStatus(request: Extract<ApiRequest, { verb: 'patchStatus' | 'replaceStatus' }>): ApiReply {
    const { plural } = request.resource;
    const before = current(plural, request.name);
    if (before === undefined) return notFound();
    const after =
      request.verb === 'patchStatus'
        ? patched(before, request.patch)
        : replaced(before, request.object as StoredObject);
    if ('ok' in after) return after;
    const broken = brokenRule(plural, before, after);
    if (broken !== undefined && api.strict && request.verb === 'replaceStatus') throw new Error(broken);
    if (broken !== undefined) return refusal(422, 'Invalid', broken);
    if (sameJson(before.status, after.status)) return { ok: true, object: before };
    api.writes.push(request);
    return { ok: true, object: keep(plural, request.name, after) };
  }

  function replace(request: Extract<ApiRequest, { verb: 'replace' }>): ApiReply {
    const { name, object } = request;
    const { plural } = request.resource;
    const before = current(plural, name);
    if (before === undefined) return notFound();
    const given = object as StoredObject;
    const { uid, creationTimestamp, resourceVersion } = before.metadata;
    if (given.metadata.resourceVersion !== resourceVersion) return refusal(409, 'Conflict');
    const after = { ...given, metadata: { ...given.metadata, uid, creationTimestamp } };
    if (sameJson({ ...after, metadata: 0 }, { ...before, metadata: 0 })) return { ok: true, object: before };
    api.writes.push(request);
    return { ok: true, object: keep(plural, name, after) };
  }

  function remove(request: Extract<ApiRequest, { verb: 'delete' }>): ApiReply {
    const found = current(request.resource.plural, request.name);
    if (found === undefined) return notFound();
    const { uid, resourceVersion } = request.preconditions;
    const { metadata } = found;
    if (uid !== metadata.uid || (resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion) {
      return refusal(409, 'Conflict');
    }
    api.writes.push(request);
    keep(request.resource.plural, request.name, undefined);
    return { ok: true, object: found };
  }

  const api: ModelApi = {
    lag: 0,
    strict: false,
    faults: [],
    writes: [],
    handle(request) {
      for (const fault of api.faults) {
        const answer = fault(request);
        if (answer !== undefined) return answer;
      }
      if (request.verb === 'get') return get(request);
      if (request.verb === 'list') return list(request);
      if (request.verb === 'create') return create(request);
      if (request.verb === 'replace') return replace(request);
      return request.verb === 'delete' ? remove(request) : writeStatus(request);
    },
    read: <T>(plural: string, name: string) => current(plural, name) as T | undefined,
    revision: () => revision,
    versions: (plural, name) => versions.get(key(plural, name)) ?? [],
    all: <T>(plural: string) =>
      [...versions.entries()]
        .filter(([name, list]) => name.startsWith(`${plural}/`) && list.at(-1) !== undefined)
        .map(([, list]) => list.at(-1) as T),
    seed: (plural, object) => void keep(plural, (object as StoredObject).metadata.name, object as StoredObject),
    remove: (plural, name) => void keep(plural, name, undefined),
  };
  return api;
}

/** Runs a protocol against the model to its verdict; `dieAfter` replies it is abandoned, as by SIGKILL. */
export function runModel<Verdict>(
  api: ModelApi,
  protocol: Protocol<Verdict>,
  dieAfter = Number.POSITIVE_INFINITY,
): Verdict | 'died' {
  let step = protocol.next();
  for (let replies = 0; step.done !== true; replies += 1) {
    if (replies === dieAfter) return 'died';
    step = protocol.next(api.handle(step.value));
  }
  return step.value;
}

export function refusal(status: number, reason: string, message = reason): Refusal {
  return { ok: false, status, reason, message, transient: false, sent: true };
}

/** No answer; `sent` says whether the request may have been acted on. */
export function outage(sent = false): Refusal {
  return {
    ok: false,
    status: 0,
    reason: 'Unavailable',
    message: 'no connection',
    transient: true,
    sent,
  };
}

function notFound(): Refusal {
  return refusal(404, 'NotFound');
}

/** The object after a PUT of its status, or why it is refused. */
export function replaced(before: StoredObject, given: StoredObject): StoredObject | Refusal {
  if (given.metadata.resourceVersion === undefined) return refusal(422, 'Invalid');
  if (given.metadata.uid !== before.metadata.uid) return refusal(409, 'Conflict');
  if (given.metadata.resourceVersion !== before.metadata.resourceVersion) return refusal(409, 'Conflict');
  return { ...before, status: given.status };
}

/** The object after a patch of its status, or why it is refused. */
export function patched(before: StoredObject, patch: JsonPatchOp[]): StoredObject | Refusal {
  // Nothing but `/status/<field>` is ever patched, and `/metadata/uid` tested.
  const object = {
    ...before,
    ...(before.status === undefined ? {} : { status: { ...before.status } }),
  };
  return patch.every((op) => applied(object as unknown as Tree, op)) ? object : refusal(422, 'Invalid');
}

interface Tree {
  [field: string]: unknown;
}

/** Applies one op to a tree that is ours; false where it does not apply. */
function applied(object: Tree, op: JsonPatchOp): boolean {
  const [top = '', last = '', ...deeper] = op.path.split('/').slice(1);
  if (deeper.length > 0 || (op.op !== 'test' && top !== 'status')) throw new Error(`the model cannot patch ${op.path}`);
  const parent = object[top] as Tree | undefined;
  return parent !== undefined && appliedTo(parent, last, op);
}

function appliedTo(parent: Tree, field: string, { op, value }: JsonPatchOp): boolean {
  if (op === 'test') return sameJson(parent[field], value);
  if (op !== 'add' && !(field in parent)) return false;
  if (op === 'remove') delete parent[field];
  else parent[field] = value;
  return true;
}

/** The CEL of the CRDs, as far as status goes: the name of the first rule that a change breaks. */
export function brokenRule(plural: string, before: StoredObject, after: StoredObject): string | undefined {
  if (plural === CAPTCHA_TASK.plural) return brokenTaskRule(statusOf(before) ?? {}, statusOf(after));
  if (plural === DEAD_LETTER.plural) return brokenLetterRule(statusOf(before) ?? {}, statusOf(after));
  return undefined;
}

function statusOf<Status extends object>(object: StoredObject): Status | undefined {
  return object.status as Status | undefined;
}

function brokenTaskRule(before: CaptchaTaskStatus, after: CaptchaTaskStatus | undefined): string | undefined {
  if (after === undefined) return 'status is never removed';
  const kept = (['solution', 'completionTime', 'failure'] as const).map((field): [string, boolean] => [
    `${field} is final`,
    before[field] === undefined || sameJson(before[field], after[field]),
  ]);
  const rules: [string, boolean][] = [
    ['phase is never removed', before.phase === undefined || after.phase !== undefined],
    ['a finished phase never changes', !hasEnded(before) || before.phase === after.phase],
    ...kept,
    ['attempts never decrease', (after.attempts ?? 0) >= (before.attempts ?? 0)],
    ['captchaID is fixed within an attempt', keepsId(before.submission, after.submission)],
    ['phase Solved has a solution', (after.phase === 'Solved') === (after.solution !== undefined)],
  ];
  return rules.find(([, holds]) => !holds)?.[0];
}

function hasEnded(status: CaptchaTaskStatus): boolean {
  return status.phase === 'Solved' || status.phase === 'Failed';
}

function keepsId(before: CaptchaTaskStatus['submission'], after: CaptchaTaskStatus['submission']): boolean {
  if (before?.captchaID === undefined || before.attempt !== after?.attempt) return true;
  return before.captchaID === after.captchaID;
}

function brokenLetterRule(before: DeadLetterStatus, after: DeadLetterStatus | undefined): string | undefined {
  if (after === undefined) return 'status is never removed';
  const rules: [string, boolean][] = [
    ['Resolved is final', before.phase !== 'Resolved' || after.phase === 'Resolved'],
    ['attempts never decrease', (after.attempts ?? 0) >= (before.attempts ?? 0)],
    ['redrives never decrease', (after.redrives ?? 0) >= (before.redrives ?? 0)],
  ];
  return rules.find(([, holds]) => !holds)?.[0];
}
