/**
 * May this key call at all? The account-wide answers that come before any task is looked at: bans, blocks, wrong keys.
 * The same for `in.php` and `res.php`, as on the live service.
 */
import { accountOf, nowMs, type State } from './state.ts';

const KEY_LENGTH = 32;
const BAN_MS = 5 * 60_000;

/** The refusing word, or undefined where the call may go on. */
export function refuseCaller(state: State, key: string, endpoint: 'in' | 'res'): string | undefined {
  const { address } = state;
  if (nowMs(state) < address.bannedUntilMs) return 'IP_BANNED';
  const account = accountOf(state, key);
  if (account.state === 'addressNotAllowed') return 'ERROR_IP_NOT_ALLOWED';
  if (account.state === 'wrong' || key.length !== KEY_LENGTH) return wrongKey(state, 'ERROR_WRONG_USER_KEY');
  if (account.state === 'unknown') return wrongKey(state, 'ERROR_KEY_DOES_NOT_EXIST');
  const { block } = account;
  const blocked = block !== undefined && (block.on === 'both' || block.on === endpoint);
  return blocked && nowMs(state) < account.blockedUntilMs ? block.code : undefined;
}

function wrongKey(state: State, code: string): string {
  const { address, options } = state;
  address.wrongKeys += 1;
  if (options.banAfterWrongKeys > 0 && address.wrongKeys >= options.banAfterWrongKeys) {
    address.wrongKeys = 0;
    address.bannedUntilMs = nowMs(state) + BAN_MS;
  }
  return code;
}
