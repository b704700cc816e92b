/**
 * What both processes connect in the same way: where the Kubernetes API is, how its client is counted, how listeners
 * and key reloads are told.
 */
import { readFileSync } from 'node:fs';

import type { AccessEnvironment } from '../kube/access.ts';
import type { KubeClientOptions } from '../kube/client.ts';
import type { CallbackKeysOptions } from '../ops/keys.ts';
import type { Logger } from '../ops/log.ts';
import { httpCode, httpMethod, type Metrics } from '../ops/metrics.ts';

const packageFile = new URL('../../package.json', import.meta.url);
/** The version of this build, from package.json. */
export const VERSION: string = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;

export function accessEnvironment(
  kubeconfigPath: string | undefined,
  env: NodeJS.ProcessEnv,
  log: Pick<Logger, 'warn'>,
): AccessEnvironment {
  return {
    kubeconfigPath,
    serviceHost: env['KUBERNETES_SERVICE_HOST'],
    servicePort: env['KUBERNETES_SERVICE_PORT'],
    environment: env,
    hooks: {
      onFault: (fault) => log.warn('credentials cannot be read again; the previous ones stay in use', { fault }),
    },
  };
}

type OnRequest = NonNullable<NonNullable<KubeClientOptions['hooks']>['onRequest']>;

/** Counts every call; `writer` also counts its status writes by their answer. */
export function reportRequests(metrics: Metrics, writer?: 'callback'): OnRequest {
  return ({ verb, method, code, durationMs }) => {
    const label = httpMethod(method);
    metrics.inc('rest_client_requests_total', { code: httpCode(code), method: label });
    if (verb !== 'watch') metrics.observe('rest_client_request_duration_seconds', { verb: label }, durationMs / 1_000);
    if (writer !== undefined && (verb === 'patchStatus' || verb === 'replaceStatus')) {
      metrics.inc('captcha_operator_status_writes_total', { controller: writer, result: writeResult(code) });
    }
  };
}

function writeResult(code: string): 'written' | 'conflict' | 'gone' | 'invalid' | 'transient' {
  if (code === '200' || code === '201') return 'written';
  // 422 is how a JSON patch says that what it tested no longer holds.
  if (code === '409' || code === '422') return 'conflict';
  if (code === '404') return 'gone';
  return code.startsWith('4') && code !== '429' ? 'invalid' : 'transient';
}

/** The line that tests and the demo wait for; `port` is the one that was bound where 0 was asked for. */
export function announceListener(log: Logger, listener: string, port: number): void {
  log.info('listening', { listener, port });
}

export function reportCallbackKeys(log: Logger): Pick<CallbackKeysOptions, 'onLoaded' | 'onFault'> {
  return {
    onLoaded: (kids) => log.info('callback keys loaded', { kids }),
    onFault: (fault) => log.error('callback keys not loaded; the previous ones, if any, stay in use', { fault }),
  };
}
