/** The file of the gateway's keys: what it may hold, whose a key is, and what a change of it does. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { loadGatewayKeys, parseGatewayKeys, type GatewayKeys } from '../../../src/gateway/keys.ts';
import { KEY_A, KEY_B, sha256 } from '../../support/gateway.ts';

const line = (namespace: string, key: string): string => `${namespace}:${sha256(key)}`;

describe('the file', () => {
  test('has a namespace and the hash of a key in each line; a namespace may have several', () => {
    const text = `# who may come in\n\n${line('team-a', KEY_A)}\n${line('team-a', KEY_B).toUpperCase().replace('TEAM-A', 'team-a')}\n`;
    const parsed = parseGatewayKeys(text);
    expect(parsed.ok && parsed.keys.map(({ namespace }) => namespace)).toEqual(['team-a', 'team-a']);
  });

  test.each([
    ['', 'no key in the file'],
    ['team-a', 'line 1: expected "namespace:sha256-of-key"'],
    [
      `\n${line('Team', KEY_A)}`,
      'line 2: before the colon: expected the name of a namespace (lower-case letters, digits and "-", at most 63)',
    ],
    [`team-a:${KEY_A}`, 'line 1: after the colon: expected 64 hexadecimal digits (sha256sum), not the key itself'],
    [`${line('team-a', KEY_A)}\n${line('team-b', KEY_A)}`, 'line 2: the key appears twice'],
  ])('with a fault names the line, and no content', (text, fault) => {
    expect(parseGatewayKeys(text)).toEqual({ ok: false, faults: [fault] });
    expect(fault).not.toContain(KEY_A);
  });
});

let place: string;
let keys: GatewayKeys;
async function load(text: string, namespaces?: readonly string[]): Promise<void> {
  place = await mkdtemp(join(tmpdir(), 'gateway-keys-'));
  await writeFile(join(place, 'keys'), text);
  keys = await loadGatewayKeys({ path: join(place, 'keys'), namespaces, reloadIntervalMs: 3_600_000 });
}
describe('a key', () => {
  afterEach(async () => {
    keys.stop();
    await rm(place, { recursive: true, force: true });
  });

  test('is that of its namespace; every other is nobody’s', async () => {
    await load(`${line('team-a', KEY_A)}\n${line('team-b', KEY_B)}\n`);
    expect([keys.namespaceOf(KEY_A), keys.namespaceOf(KEY_B)]).toEqual(['team-a', 'team-b']);
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 64 }), fc.stringMatching(/^[ab]{32}$/)), (key) => {
        if (key !== KEY_A && key !== KEY_B) expect(keys.namespaceOf(key)).toBeUndefined();
      }),
    );
  });

  test('that is revoked works no more after the change; a new one does', async () => {
    await load(line('team-a', KEY_A));
    await writeFile(join(place, 'keys'), line('team-a', KEY_B));
    await keys.reload();
    expect([keys.namespaceOf(KEY_A), keys.namespaceOf(KEY_B)]).toEqual([undefined, 'team-a']);
  });

  test('stays in use while the file has a fault, which is told', async () => {
    await load(line('team-a', KEY_A));
    await writeFile(join(place, 'keys'), 'team-a:half');
    await keys.reload();
    expect([keys.namespaceOf(KEY_A), keys.ready(), keys.fault()]).toEqual([
      'team-a',
      true,
      'line 1: after the colon: expected 64 hexadecimal digits (sha256sum), not the key itself',
    ]);
  });

  test('of a namespace that is not watched is as good as unknown', async () => {
    await load(`${line('team-a', KEY_A)}\n${line('team-b', KEY_B)}\n`, ['team-b']);
    expect([keys.namespaceOf(KEY_A), keys.namespaceOf(KEY_B), keys.count()]).toEqual([undefined, 'team-b', 1]);
  });
});
