/**
 * A status change as a JSON patch that tests before it writes: the way to write without a fresh copy (measured: a
 * merge-patch with a wrong uid is applied to whatever has that name; a failing `test` is answered 422 and writes
 * nothing). The operator's own writes are checked by resourceVersion.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { JsonPatchOp } from '../protocol.ts';

/** What must still hold beside the uid, which is always tested. */
export interface PatchTests {
  phase?: boolean;
  attempts?: boolean;
}

/**
 * The ops that turn `task.status` into `next` if the object still has this uid, and, as asked, this phase and this
 * number of attempts. Top-level fields of status are written whole. Undefined where the task has no status (or none
 * of the tested fields) yet: then the caller writes by `replaceStatus` with a resourceVersion.
 */
export function conditionalPatch(
  task: CaptchaTask,
  next: CaptchaTaskStatus,
  tests: PatchTests,
): JsonPatchOp[] | undefined {
  const before = task.status;
  if (before === undefined) return undefined;
  const ops: JsonPatchOp[] = [{ op: 'test', path: '/metadata/uid', value: task.metadata.uid }];
  for (const field of ['phase', 'attempts'] as const) {
    if (tests[field] !== true) continue;
    if (before[field] === undefined) return undefined;
    ops.push({ op: 'test', path: `/status/${field}`, value: before[field] });
  }
  return [...ops, ...changedFields(before, next)];
}

/** Whether a status shows that this change was made: every field that it changed is there as it was written. */
export function shows(
  seen: CaptchaTaskStatus,
  before: CaptchaTaskStatus | undefined,
  next: CaptchaTaskStatus,
): boolean {
  const changed = Object.keys({ ...before, ...next }) as (keyof CaptchaTaskStatus)[];
  const written = changed.filter((name) => !sameJson(before?.[name], next[name]));
  return written.length > 0 && written.every((name) => sameJson(seen[name], next[name]));
}

function changedFields(before: CaptchaTaskStatus, next: CaptchaTaskStatus): JsonPatchOp[] {
  const names = new Set([...Object.keys(before), ...Object.keys(next)] as (keyof CaptchaTaskStatus)[]);
  const ops: JsonPatchOp[] = [];
  for (const name of names) {
    const path = `/status/${name}`;
    // `add` replaces a member that exists, so it is right whatever the stored object holds.
    if (next[name] === undefined) ops.push({ op: 'remove', path });
    else if (!sameJson(before[name], next[name])) ops.push({ op: 'add', path, value: next[name] });
  }
  return ops;
}

/** Whether two JSON values are equal; member order does not count. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const leftFields = Object.entries(left);
  if (leftFields.length !== Object.keys(right).length) return false;
  return leftFields.every(
    ([name, value]) => name in right && sameJson(value, (right as Record<string, unknown>)[name]),
  );
}
