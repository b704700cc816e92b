/** Paths of resources below an API server, ours and those of the core. */
import { API_VERSION } from '../../src/api/names.ts';

/** Collection, object or subresource: `pathOf('captchatasks', ns)`, `pathOf('captchatasks', ns, 'a')`, `…, 'status')`. */
export function pathOf(plural: string, namespace: string, ...rest: string[]): string {
  return ['', 'apis', API_VERSION, 'namespaces', namespace, plural, ...rest].join('/');
}

/** The same for core resources such as `secrets`. */
export function corePathOf(plural: string, namespace: string, ...rest: string[]): string {
  return ['', 'api', 'v1', 'namespaces', namespace, plural, ...rest].join('/');
}
