/** The key that harness and tortured sidecar share, and the callbacks signed with it. */
import { createHash } from 'node:crypto';
import { createPingbackMinter } from '../../src/core/token.ts';
import { createCallbackKeyRing } from '../../src/ops/keys.ts';

export const TORTURE_SECRET = createHash('sha256').update('torture').digest();
export const tortureKeys = createCallbackKeyRing();
tortureKeys.replace([{ kid: 'k1', secret: TORTURE_SECRET }]);
const mint = createPingbackMinter({ callbackURL: 'http://x', keys: tortureKeys });

/** Path of the pingback URL of a task's first attempt. */
export function torturePath(task: { namespace: string; name: string; uid: string }): string {
  return new URL(mint(task, 1)!).pathname;
}
