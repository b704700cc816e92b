/**
 * May this key call at all? The account-wide answers that come before any task is looked at: bans, blocks, wrong keys.
 * The same for `in.php` and `res.php`, as on the live service.
 */
import type { Account } from './script.ts';
import { accountOf, nowMs, type State } from './state.ts';

const KEY_LENGTH = 32;
const BAN_MS = 5 * 60_000;

const WORDS: Partial<Record<Account['state'], string>> = {
  wrong: 'ERROR_WRONG_USER_KEY',
  unknown: 'ERROR_KEY_DOES_NOT_EXIST',
  addressNotAllowed: 'ERROR_IP_NOT_ALLOWED',
  suspended: 'ERROR_ACCOUNT_SUSPENDED',
};

/** These get the caller's address banned. */
const COUNTED = new Set(['ERROR_WRONG_USER_KEY', 'ERROR_KEY_DOES_NOT_EXIST']);

/** The refusing word, or undefined where the call may go on. */
export function refuseCaller(state: State, key: string, endpoint: 'in' | 'res'): string | undefined {
  const { address } = state;
  if (nowMs(state) < address.bannedUntilMs) return 'IP_BANNED';
  const account = accountOf(state, key);
  const word = key.length === KEY_LENGTH ? WORDS[account.state] : 'ERROR_WRONG_USER_KEY';
  if (word !== undefined) return COUNTED.has(word) ? wrongKey(state, word) : word;
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
