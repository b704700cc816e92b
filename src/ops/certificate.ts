/**
 * The certificate of a listener: reads the pair of files (`tls.crt` and `tls.key` of a Secret, as cert-manager writes
 * it), and follows them, so that a renewal needs no restart. What cannot be used changes nothing: the previous pair
 * stays in use. A fault says which file is wrong and how, and nothing of what is in it.
 *
 * Whether clients trust it is their business, and dates are: an expired pair is used, because it may be the newest there
 * is, and its end is a metric.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { followFile } from './followed-file.ts';

export const MIN_TLS_VERSION = 'TLSv1.2';

/** PEM: the certificate with those that it was issued by, and its key. */
export interface Pair {
  cert: string;
  key: string;
}

export interface Certificate {
  /** True once a pair is loaded; stays true when a later reload fails. */
  ready(): boolean;
  fault(): string | undefined;
  /** Undefined while none is loaded. */
  expiresMs(): number | undefined;
  /** Called with the pair in use, at once where there is one, and with each that replaces it. */
  follow(use: (pair: Pair) => void): void;
  reload(): Promise<void>;
  stop(): void;
}

export interface CertificateOptions {
  certFile: string;
  keyFile: string;
  reloadIntervalMs?: number;
  onLoaded?(pair: { expiresMs: number }): void;
  onFault?(fault: string): void;
}

export async function loadCertificate(options: CertificateOptions): Promise<Certificate> {
  const followers: ((pair: Pair) => void)[] = [];
  let current: (Pair & { expiresMs: number }) | undefined;
  const { fault, reload, stop } = await followFile({
    ...options,
    paths: [options.certFile, options.keyFile],
    load(cert = '', key = '') {
      const checked = checkPair({ cert, key });
      if ('fault' in checked) return { ok: false, faults: [checked.fault] };
      current = { cert, key, ...checked };
      for (const use of followers) use({ cert, key });
      options.onLoaded?.(checked);
      return { ok: true };
    },
  });
  return {
    ready: () => current !== undefined,
    fault,
    expiresMs: () => current?.expiresMs,
    follow(use) {
      followers.push(use);
      if (current !== undefined) use({ cert: current.cert, key: current.key });
    },
    reload,
    stop,
  };
}

/** Errors of OpenSSL are not passed on: they are hard to read, and nobody has looked at what they may quote. */
function checkPair(pair: Pair): { expiresMs: number } | { fault: string } {
  const certificate = read(() => new X509Certificate(pair.cert));
  if (certificate === undefined) return { fault: 'the certificate is not one in PEM' };
  const key = read((): KeyObject => createPrivateKey(pair.key));
  if (key === undefined) return { fault: 'the key is not a private key in PEM without a password' };
  if (!certificate.checkPrivateKey(key)) return { fault: 'the key is not that of the certificate' };
  const context = read(() => createSecureContext({ ...pair, minVersion: MIN_TLS_VERSION }));
  if (context === undefined) {
    return { fault: 'the pair cannot be used: the key is too short, or a certificate of its chain is broken' };
  }
  return { expiresMs: certificate.validToDate.getTime() };
}

function read<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
