/**
 * Whom a kubeconfig's user acts as (`as`, `as-uid`, `as-groups`, `as-user-extra`), as request headers. Pure; called by
 * `kubeconfig.ts`. Source: "User impersonation" of the Kubernetes authentication documentation.
 */

type Fields = Readonly<Record<string, unknown>>;

/** Header names and values; a name may come several times. Empty: nobody is impersonated. */
export type Impersonation = readonly (readonly [name: string, value: string])[];

/** @throws Error where a group, uid or extra field stands without a user: the server would refuse every request */
export function impersonationOf(user: Fields): Impersonation {
  const extra = Object.entries(fieldsOf(user['as-user-extra']));
  const headers = [
    ...textsOf(user['as']).map((name) => ['impersonate-user', name] as const),
    ...textsOf(user['as-uid']).map((uid) => ['impersonate-uid', uid] as const),
    ...textsOf(user['as-groups']).map((group) => ['impersonate-group', group] as const),
    ...extra.flatMap(([key, values]) => textsOf(values).map((value) => [headerOf(key), value] as const)),
  ];
  const alone = ['as-uid', 'as-groups', 'as-user-extra'].find((field) => field in user);
  if (alone !== undefined && headers[0]?.[0] !== 'impersonate-user') throw new Error(`kubeconfig: ${alone} without as`);
  return headers;
}

/** Header names are case-insensitive and of few characters, so keys are sent in lower case and percent-encoded. */
function headerOf(key: string): string {
  return `impersonate-extra-${encodeURIComponent(key.toLowerCase()).toLowerCase()}`;
}

function textsOf(value: unknown): string[] {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((one): one is string => typeof one === 'string' && one !== '');
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
