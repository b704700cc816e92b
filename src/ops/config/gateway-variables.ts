/** Rows of the table of variables: the gateway. Assembled in `variables.ts`. */
import { bindAddress, filePath, seconds, wholeNumber } from './kinds.ts';
import { YEAR, type Variable } from './variable.ts';

export const GATEWAY_VARIABLES = {
  gatewayKeysFile: {
    name: 'GATEWAY_KEYS_FILE',
    readBy: 'gateway',
    kind: filePath,
    unset: 'required',
    meaning:
      'Lines `namespace:sha256-of-key`: who has a key of 32 characters whose hash is here uses tasks of that namespace. A namespace may have several. Reloaded when it changes.',
  },
  gatewayBind: {
    name: 'GATEWAY_BIND_ADDRESS',
    readBy: 'gateway',
    kind: bindAddress,
    default: ':8080',
    meaning: 'Where `/in.php` and `/res.php` are served in clear. `127.0.0.1:8080`: to nobody outside the pod.',
  },
  gatewayTlsCertFile: {
    name: 'GATEWAY_TLS_CERT_FILE',
    readBy: 'gateway',
    kind: filePath,
    unset: 'no TLS',
    meaning:
      'The certificate of `GATEWAY_TLS_BIND_ADDRESS` with those that it was issued by, in PEM: `tls.crt` of a Secret. Needs `GATEWAY_TLS_KEY_FILE`. Both are reloaded when they change; what cannot be used leaves the previous pair in use.',
  },
  gatewayTlsKeyFile: {
    name: 'GATEWAY_TLS_KEY_FILE',
    readBy: 'gateway',
    kind: filePath,
    unset: 'no TLS',
    meaning: 'Its private key in PEM, without a password: `tls.key` of a Secret.',
  },
  gatewayTlsBind: {
    name: 'GATEWAY_TLS_BIND_ADDRESS',
    readBy: 'gateway',
    kind: bindAddress,
    default: ':8443',
    meaning: 'Where the same is served by TLS 1.2 and later, where there is a certificate.',
  },
  gatewayTtlMs: {
    name: 'GATEWAY_TTL_SECONDS',
    readBy: 'gateway',
    kind: seconds(0, 10 * YEAR),
    default: '600',
    meaning: 'How long after its end a task of the gateway, and with it its answer, is kept.',
  },
  gatewayMaxOpenTasks: {
    name: 'GATEWAY_MAX_OPEN_TASKS',
    readBy: 'gateway',
    kind: wholeNumber(1, 100_000),
    default: '1000',
    meaning: 'Unfinished tasks of the gateway in one namespace; clients see it as the threads of their account.',
  },
} as const satisfies Record<string, Variable<unknown>>;
