/** What a fault of the disk is called in logs: the system's code, or a stable word. */

/** Primary result codes of SQLite, which holds the lock (sqlite.org/rescode.html). */
const LOCK_CODES: Record<number, string> = { 5: 'LOCKED', 8: 'EROFS', 10: 'EIO', 13: 'ENOSPC', 14: 'EACCES' };
const PRIMARY_CODE = 0xff;

/** A system error code, or a stable word. Messages stay out: they hold paths. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN';
  if ('errcode' in error) return LOCK_CODES[Number(error.errcode) & PRIMARY_CODE] ?? 'LOCK_FAILED';
  return 'code' in error ? String(error.code) : error.constructor.name;
}
