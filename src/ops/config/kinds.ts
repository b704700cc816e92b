/**
 * The kinds of values an environment variable can hold: how its text is read, what is expected (for faults and for
 * docs/configuration.md) and how the text may be shown. Pure.
 *
 * A kind refuses rather than repairs: nothing is trimmed, rounded or clamped, because a process that runs with another
 * value than the one written down is harder to find than one that says no at its start.
 */

/** `read` returns undefined when the text is not of this kind. */
export interface Kind<T> {
  /** Completes "expected …". */
  expected: string;
  read(text: string): T | undefined;
  /** What may be printed of the text; default: all of it. */
  show?(text: string): string;
}

/** Where a listener binds. `host` undefined: every address of the machine. Port 0: the system chooses. */
export interface BindAddress {
  host: string | undefined;
  port: number;
}

export function oneOf<const T extends string>(words: readonly T[]): Kind<T> {
  return {
    expected: words.map((word) => `"${word}"`).join(' or '),
    read: (text) => words.find((word) => word === text),
  };
}

export const flag: Kind<boolean> = {
  expected: '"true" or "false"',
  read: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

export function wholeNumber(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    read: (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** Written in seconds, kept in milliseconds. */
export function seconds(min: number, max: number): Kind<number> {
  const number = wholeNumber(min, max);
  return {
    expected: `a whole number of seconds from ${min} to ${max}`,
    read: (text) => {
      const value = number.read(text);
      return value === undefined ? undefined : value * 1_000;
    },
  };
}

export function secondsOrNever(min: number, max: number): Kind<number | 'never'> {
  const number = seconds(min, max);
  return {
    expected: `${number.expected}, or "never"`,
    read: (text) => (text === 'never' ? 'never' : number.read(text)),
  };
}

export const filePath: Kind<string> = {
  expected: 'an absolute path',
  read: (text) => (text.startsWith('/') && !text.includes('\0') ? text : undefined),
};

/** What KUBECONFIG may hold is not ours to narrow. */
export const anyPath: Kind<string> = { expected: 'a path', read: (text) => (text.includes('\0') ? undefined : text) };

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const DNS_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

export const namespaceName: Kind<string> = {
  expected: 'the name of a namespace (lower-case letters, digits and "-", at most 63)',
  read: (text) => (DNS_LABEL.test(text) ? text : undefined),
};

export const objectName: Kind<string> = {
  expected: 'the name of an object (lower-case letters, digits, "-" and ".", at most 253)',
  read: (text) => (DNS_NAME.test(text) ? text : undefined),
};

/** The journal is called after the Lease, with `-journal`. */
export const leaseName: Kind<string> = {
  expected: 'the name of an object (lower-case letters, digits, "-" and ".", at most 245)',
  read: (text) => (text.length <= 245 ? objectName.read(text) : undefined),
};

/** Blanks around the commas are allowed: lists are often folded in YAML. */
export const namespaceList: Kind<readonly string[]> = {
  expected: 'names of namespaces, separated by commas',
  read: (text) => {
    const names = text.split(',').map((name) => name.trim());
    return names.every((name) => DNS_LABEL.test(name)) ? [...new Set(names)] : undefined;
  },
};

const BIND = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):(\d{1,5})$/;

export const bindAddress: Kind<BindAddress> = {
  expected: '":port" or "address:port", with a port from 0 (the system chooses) to 65535',
  read: (text) => {
    const [, host = '', port = ''] = BIND.exec(text) ?? [];
    if (port === '' || Number(port) > 65_535) return undefined;
    return { host: host === '' ? undefined : host.replace(/^\[|\]$/g, ''), port: Number(port) };
  },
};

/** An API key is sent as a form field: a line break or blank in it is a mistake of copying. */
export const secretWord: Kind<string> = {
  expected: '1 to 256 characters without blanks or line breaks',
  read: (text) => (/^[\x21-\x7e]{1,256}$/.test(text) ? text : undefined),
  show: (text) => `[redacted, ${text.length} characters]`,
};

/** A forward proxy, reached in clear: what goes through its tunnels is encrypted. */
export const proxyURL: Kind<string> = {
  expected: '"http://host:port", perhaps with "user:password@" before the host',
  read: (text) => (/^http:\/\/([\x21-\x7e]+@)?[^/?#@\\\s]+\/?$/.test(text) && URL.canParse(text) ? text : undefined),
  show: showURL,
};

export const hostList: Kind<string> = {
  expected: 'hosts, domains (".example.com") and addresses, separated by commas, at most 4096 characters',
  read: (text) => (/^[\x20-\x7e]{1,4096}$/.test(text) ? text : undefined),
};

/** An `http:` or `https:` URL that more can be appended to: no query, fragment or credentials. */
export function baseURL(maxLength: number): Kind<string> {
  return {
    expected: `an http(s) URL of at most ${maxLength} characters without query, fragment or credentials`,
    read: (text) => (text.length <= maxLength && isBaseURL(text) ? text : undefined),
    show: showURL,
  };
}

function isBaseURL(text: string): boolean {
  // What URL would repair silently (blanks, backslashes, other alphabets) is refused: the provider sees the text.
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(text) || /[?#@\\]/.test(text)) return false;
  return URL.canParse(text);
}

/** Credentials and queries of a refused URL may be secret. */
function showURL(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//[redacted]@').replace(/[?#].*$/s, (rest) => `${rest[0] ?? ''}[redacted]`);
}
