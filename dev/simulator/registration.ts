/**
 * Callback hosts of an account: registering, listing and removing them, the file by which a host shows whose it is, and
 * what an unregistered host means for a submission. Which of it the provider does is a matter of switches.
 */
import { get as httpGet } from 'node:http';
import { field, type Fields } from './form.ts';
import { accountOf, type State } from './state.ts';

/** Why a submission with this callback is refused, or undefined. */
export function refusePingback(state: State, fields: Fields): string | undefined {
  const url = field(fields, 'pingback');
  const { pingback, pingbackRefusal } = state.switches;
  if (url === '' || (pingback !== 'refused' && pingback !== 'registered')) return undefined;
  return pingback === 'registered' && isRegistered(state, fields) ? undefined : pingbackRefusal;
}

/** Whether the callback of a task is sent at all. */
export function sendsPingback(state: State, fields: Fields): boolean {
  if (field(fields, 'pingback') === '') return false;
  const { pingback } = state.switches;
  return pingback === 'registeredSilently' ? isRegistered(state, fields) : pingback !== 'ignored';
}

function isRegistered(state: State, fields: Fields): boolean {
  const host = hostOf(field(fields, 'pingback'));
  return host !== undefined && accountOf(state, field(fields, 'key')).hosts.has(host);
}

/** The host, with its port if any, of a URL or of a bare address. */
function hostOf(address: string): string | undefined {
  const url = /^https?:/.test(address) ? address : `http://${address}`;
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** `add_pingback`: the word for it. */
export async function addHost(state: State, fields: Fields): Promise<string> {
  const host = hostOf(field(fields, 'addr'));
  if (host === undefined) return 'ERROR_BAD_PARAMETERS';
  const account = accountOf(state, field(fields, 'key'));
  const { ownershipFile, pingbackRefusal } = state.switches;
  const owned = ownershipFile === 'none' || (await textAt(`http://${host}${ownershipFile}`)) === account.ownershipCode;
  if (!owned) return pingbackRefusal;
  account.hosts.add(host);
  return 'OK_PINGBACK';
}

/** `get_pingback`: the registered hosts. */
export function hostsOf(state: State, fields: Fields): string[] {
  return [...accountOf(state, field(fields, 'key')).hosts];
}

/** `del_pingback`: one host, or `all`. */
export function removeHosts(state: State, fields: Fields): void {
  const { hosts } = accountOf(state, field(fields, 'key'));
  const address = field(fields, 'addr');
  if (address === 'all') hosts.clear();
  else hosts.delete(hostOf(address) ?? '');
}

/** The trimmed text of a small file; undefined where there is none. */
function textAt(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = httpGet(url, { agent: false, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text = (text + chunk).slice(0, 1_000);
      });
      response.once('end', () => resolve(response.statusCode === 200 ? text.trim() : undefined));
      response.once('error', () => resolve(undefined));
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}
