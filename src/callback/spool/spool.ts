/**
 * The durable spool as the rest of the sidecar sees it.
 */
import type { SpoolRecord } from './record.ts';

export interface SpoolWriter {
  /** Resolves when the record is on disk, fsynced. Rejects when it cannot be made so. */
  append(record: SpoolRecord): Promise<void>;
}
