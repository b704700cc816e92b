/**
 * The gateway's keys: reads `GATEWAY_KEYS_FILE`, says whose a key is, and follows the file.
 *
 * Lines are `namespace:sha256-of-key`, the hash in hexadecimal: the file says who may come in and holds no key. A
 * namespace may have several. A file that cannot be read or holds a fault keeps the previous keys (`ops/followed-file`);
 * with no keys at all nobody comes in. Faults name line numbers, never contents. Every key, known or not, is compared
 * with all of them, in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { namespaceName } from '../ops/config/kinds.ts';
import { followFile, linesOf } from '../ops/followed-file.ts';

export interface GatewayKey {
  namespace: string;
  /** SHA-256 of the key. */
  hash: Uint8Array;
}

export type ParsedGatewayKeys = { ok: true; keys: GatewayKey[] } | { ok: false; faults: string[] };

export interface GatewayKeys {
  /** True once keys are loaded; stays true when a later reload fails. */
  ready(): boolean;
  /** How many are loaded. */
  count(): number;
  fault(): string | undefined;
  /** The namespace that a key of the right length belongs to; undefined for every other. */
  namespaceOf(key: string): string | undefined;
  reload(): Promise<void>;
  stop(): void;
}

/** The provider's own client insists on it. */
export const KEY_LENGTH = 32;
const MAX_KEYS = 1_024;
const MAX_FILE_BYTES = 256 * 1_024;
const HASH = /^[0-9a-f]{64}$/i;

export function parseGatewayKeys(text: string): ParsedGatewayKeys {
  if (text.length > MAX_FILE_BYTES) return { ok: false, faults: [`the file is larger than ${MAX_FILE_BYTES} bytes`] };
  const keys: GatewayKey[] = [];
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const line of linesOf(text)) {
    const parsed = parseLine(line.text);
    const hash = typeof parsed === 'string' ? '' : Buffer.from(parsed.hash).toString('hex');
    if (typeof parsed === 'string') faults.push(`line ${line.number}: ${parsed}`);
    else if (seen.has(hash)) faults.push(`line ${line.number}: the key appears twice`);
    else keys.push(parsed);
    seen.add(hash);
  }
  if (keys.length > MAX_KEYS) faults.push(`more than ${MAX_KEYS} keys`);
  if (keys.length === 0 && faults.length === 0) faults.push('no key in the file');
  return faults.length === 0 ? { ok: true, keys } : { ok: false, faults };
}

function parseLine(line: string): GatewayKey | string {
  const colon = line.indexOf(':');
  if (colon < 0) return 'expected "namespace:sha256-of-key"';
  const namespace = namespaceName.read(line.slice(0, colon));
  const hash = line.slice(colon + 1).trim();
  if (namespace === undefined) return `before the colon: expected ${namespaceName.expected}`;
  if (!HASH.test(hash)) return 'after the colon: expected 64 hexadecimal digits (sha256sum), not the key itself';
  return { namespace, hash: Buffer.from(hash, 'hex') };
}

export interface GatewayKeysOptions {
  path: string;
  /** Keys of other namespaces are as good as unknown; undefined: there are no others. */
  namespaces?: readonly string[] | undefined;
  reloadIntervalMs?: number;
  /** How many are loaded, and how many of them are of other namespaces. */
  onLoaded?(count: number, others: number): void;
  onFault?(fault: string): void;
}

export async function loadGatewayKeys(options: GatewayKeysOptions): Promise<GatewayKeys> {
  const { namespaces, onLoaded } = options;
  let keys: readonly GatewayKey[] = [];
  const file = await followFile({
    ...options,
    paths: [options.path],
    load(text = '') {
      const parsed = parseGatewayKeys(text);
      if (!parsed.ok) return parsed;
      keys = parsed.keys.filter(({ namespace }) => namespaces?.includes(namespace) !== false);
      onLoaded?.(keys.length, parsed.keys.length - keys.length);
      return { ok: true };
    },
  });
  const { fault, reload, stop } = file;
  return {
    ready: () => keys.length > 0,
    count: () => keys.length,
    fault,
    namespaceOf: (key) => namespaceOf(keys, key),
    reload,
    stop,
  };
}

/** Looks at all of them, whichever it is. */
function namespaceOf(keys: readonly GatewayKey[], key: string): string | undefined {
  const hash = createHash('sha256').update(key).digest();
  let found: string | undefined;
  for (const known of keys) if (timingSafeEqual(known.hash, hash)) found = known.namespace;
  return found;
}
