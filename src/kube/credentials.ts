/**
 * What proves who we are to the API server, and a place that it is read from. Types only: `access.ts` (pods) and
 * `kubeconfig.ts` know such places, and one of them calls the other.
 */

/** TLS settings in the spelling of `node:tls`. */
export interface TlsParts {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  servername?: string | undefined;
  rejectUnauthorized?: boolean | undefined;
}

/** Header names and values; a name may come several times. Empty: nobody is impersonated. */
export type Impersonation = readonly (readonly [name: string, value: string])[];

/** What one reading of the files gave. */
export interface Credentials {
  authorization?: string | undefined;
  tls: TlsParts;
  /** Whom requests act as. */
  impersonation?: Impersonation | undefined;
}

/** A place to read credentials from, again and again. */
export interface AccessSource {
  /** `https://host:port`, perhaps with a path, without a slash at the end. */
  server: string;
  /** The namespace of the context or of the pod. */
  namespace: string | undefined;
  /** `rejected`: the server refused what was read before, so do not answer from a cache. */
  read(rejected: boolean): Promise<Credentials>;
}
