/**
 * The API server of the model: what a request does to the objects, and its reply. Its rules are those of
 * `test/support/model-api`; here it changes nothing in place, so that a state can be left again in another direction.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { CAPTCHA_TASK, CONFIG_MAP, DEAD_LETTER, SECRET } from '../../src/api/names.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { sameJson } from '../../src/core/task/patch.ts';
import { formatTime } from '../../src/core/task/times.ts';
import { type StoredObject, brokenRule, outage, patched, refusal, replaced } from '../support/model-api.ts';
import { type Handle, intern } from './intern.ts';
import type { JournalObject, Objects } from './state.ts';
import { NOW } from './time.ts';

export interface Served {
  objects: Objects;
  reply: Handle<ApiReply>;
  /** The CEL rule that a write with the right version would have broken: the writer made an impossible status. */
  broken?: string;
}

export interface ServerFaults {
  /** Nobody may create a Secret or a letter. */
  forbidden?: 'letters' | undefined;
  /** A planted fault: PUTs are taken whatever version they carry. */
  unchecked?: 'status' | 'journal' | undefined;
}

const VERSION_OF: Readonly<Record<string, string>> = {
  [CAPTCHA_TASK.plural]: '~v',
  [DEAD_LETTER.plural]: '~l',
  [CONFIG_MAP.plural]: '~j',
};
export const LOST = intern<ApiReply>(outage(true));
const NOT_FOUND = intern<ApiReply>(refusal(404, 'NotFound'));
const CONFLICT = intern<ApiReply>(refusal(409, 'AlreadyExists'));

const known = new Map<string, Served>();

/** @param lagging what a cached read of the task sees */
export function serve(
  objects: Objects,
  request: Handle<ApiRequest>,
  lagging: Handle<CaptchaTask> | undefined,
  faults: ServerFaults = {},
): Served {
  const { task, secret, letters, journal } = objects;
  const ids = letters.map(({ id }) => id).join('.');
  const key = `${request.id},${journal?.id},${task?.id},${secret?.id},${ids},${lagging?.id},${faults.unchecked},${faults.forbidden}`;
  const before = known.get(key);
  if (before !== undefined) return { ...before, objects: { ...objects, ...before.objects } };
  const served = carryOut(objects, request.value, lagging, faults);
  const { objects: after } = served;
  const { task: one, secret: other, letters: some, journal: book } = after;
  known.set(key, { ...served, objects: { task: one, secret: other, letters: some, journal: book } });
  return { ...served, objects: { ...objects, ...served.objects } };
}

function carryOut(
  objects: Objects,
  request: ApiRequest,
  lagging: Handle<CaptchaTask> | undefined,
  faults: ServerFaults,
): Served {
  if (request.verb === 'get') return { objects, reply: read(objects, request, lagging) };
  if (request.verb === 'list') {
    const items = objects.letters.map(({ value }) => value);
    return { objects, reply: intern<ApiReply>({ ok: true, object: { items, metadata: {} } }) };
  }
  if (request.verb === 'create') return create(objects, request, faults);
  if (request.verb === 'delete') return remove(objects, request);
  if (request.verb === 'replace') return replace(objects, request, faults);
  return writeStatus(objects, request, faults);
}

function read(
  objects: Objects,
  request: Extract<ApiRequest, { verb: 'get' }>,
  lagging: Handle<CaptchaTask> | undefined,
): Handle<ApiReply> {
  const cached = request.read === 'cached' && request.resource.plural === CAPTCHA_TASK.plural;
  const found = cached ? lagging : find(objects, request.resource.plural, request.name);
  return found === undefined ? NOT_FOUND : okay(found.value);
}

function okay(object: object): Handle<ApiReply> {
  return intern<ApiReply>({ ok: true, object });
}

function find({ task, secret, letters, journal }: Objects, plural: string, name: string): Handle<object> | undefined {
  if (plural === CONFIG_MAP.plural) return journal;
  if (plural === CAPTCHA_TASK.plural) return task;
  if (plural === SECRET.plural) return secret;
  return letters.find(({ value }) => value.metadata.name === name);
}

function create(
  objects: Objects,
  request: Extract<ApiRequest, { verb: 'create' }>,
  { forbidden }: ServerFaults,
): Served {
  const { plural } = request.resource;
  const given = request.object as StoredObject;
  const { name } = given.metadata;
  if (find(objects, plural, name) !== undefined) return { objects, reply: CONFLICT };
  if (plural === DEAD_LETTER.plural && forbidden === 'letters') return { objects, reply: FORBIDDEN };
  const stamps = { uid: `uid-of-${name}`, creationTimestamp: formatTime(NOW), resourceVersion: versionFor(plural) };
  const made = { ...given, metadata: { ...given.metadata, ...stamps } };
  return { objects: withObject(objects, plural, intern(made)), reply: okay(made) };
}

const FORBIDDEN = intern<ApiReply>(refusal(403, 'Forbidden'));

function versionFor(plural: string): string {
  return `${VERSION_OF[plural] ?? '~s'}9`;
}

function withObject(objects: Objects, plural: string, object: Handle<object>): Objects {
  if (plural === CAPTCHA_TASK.plural) return { ...objects, task: object as Handle<CaptchaTask> };
  if (plural === SECRET.plural) return { ...objects, secret: object };
  if (plural === CONFIG_MAP.plural) return { ...objects, journal: object as Handle<JournalObject> };
  const letter = object as Handle<DeadLetter>;
  const others = objects.letters.filter(({ value }) => value.metadata.name !== letter.value.metadata.name);
  const letters = [...others, letter].sort((left, right) =>
    left.value.metadata.name < right.value.metadata.name ? -1 : 1,
  );
  return { ...objects, letters };
}

/** Only the journal is ever replaced as a whole. */
function replace(
  objects: Objects,
  request: Extract<ApiRequest, { verb: 'replace' }>,
  { unchecked }: ServerFaults,
): Served {
  const { plural } = request.resource;
  const before = find(objects, plural, request.name)?.value as StoredObject | undefined;
  if (before === undefined) return { objects, reply: NOT_FOUND };
  const given = request.object as StoredObject;
  const { metadata } = before;
  const isStale = given.metadata.resourceVersion !== metadata.resourceVersion;
  if (isStale && unchecked !== 'journal') return { objects, reply: intern<ApiReply>(refusal(409, 'Conflict')) };
  const stored = { ...given, metadata: { ...metadata, resourceVersion: versionFor(plural) } };
  return { objects: withObject(objects, plural, intern(stored)), reply: okay(stored) };
}

function writeStatus(
  objects: Objects,
  request: Extract<ApiRequest, { verb: 'patchStatus' | 'replaceStatus' }>,
  { unchecked }: ServerFaults,
): Served {
  const { plural } = request.resource;
  const found = find(objects, plural, request.name);
  if (found === undefined) return { objects, reply: NOT_FOUND };
  const before = found.value as StoredObject;
  const after = written(before, request, unchecked === 'status');
  if ('ok' in after) return { objects, reply: intern<ApiReply>(after) };
  const put = request.verb === 'replaceStatus';
  const broken = brokenRule(plural, before, after);
  if (broken !== undefined) {
    return { objects, reply: intern<ApiReply>(refusal(422, 'Invalid', broken)), ...(put ? { broken } : {}) };
  }
  if (sameJson(before.status, after.status)) return { objects, reply: okay(before) };
  const stored = { ...after, metadata: { ...after.metadata, resourceVersion: versionFor(plural) } };
  return { objects: withObject(objects, plural, intern(stored)), reply: okay(stored) };
}

function written(
  before: StoredObject,
  request: Extract<ApiRequest, { verb: 'patchStatus' | 'replaceStatus' }>,
  unchecked: boolean,
): ReturnType<typeof replaced> {
  if (request.verb === 'patchStatus') return patched(before, request.patch);
  const given = request.object as StoredObject;
  return replaced(before, unchecked ? withVersionOf(given, before) : given);
}

function withVersionOf(given: StoredObject, before: StoredObject): StoredObject {
  const { resourceVersion } = before.metadata;
  return { ...given, metadata: { ...given.metadata, resourceVersion } };
}

function remove(objects: Objects, request: Extract<ApiRequest, { verb: 'delete' }>): Served {
  const { plural } = request.resource;
  const found = find(objects, plural, request.name) as Handle<StoredObject> | undefined;
  if (found === undefined) return { objects, reply: NOT_FOUND };
  const { uid, resourceVersion } = found.value.metadata;
  const wanted = request.preconditions;
  const matches = wanted.uid === uid && (wanted.resourceVersion ?? resourceVersion) === resourceVersion;
  if (!matches) return { objects, reply: intern<ApiReply>(refusal(409, 'Conflict')) };
  return { objects: withoutObject(objects, plural, request.name), reply: okay(found.value) };
}

export function withoutObject(objects: Objects, plural: string, name: string): Objects {
  if (plural === CAPTCHA_TASK.plural) return { ...objects, task: undefined };
  if (plural === SECRET.plural) return { ...objects, secret: undefined };
  if (plural === CONFIG_MAP.plural) return { ...objects, journal: undefined };
  return { ...objects, letters: objects.letters.filter(({ value }) => value.metadata.name !== name) };
}
