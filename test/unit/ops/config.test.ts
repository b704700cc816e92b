import { describe, expect, test } from 'vitest';

import {
  describeConfig,
  parseCallbackConfig,
  parseGatewayConfig,
  parseOperatorConfig,
} from '../../../src/ops/config.ts';

const KEY = 'k'.repeat(32);
const POD = { POD_NAMESPACE: 'captcha-system', POD_NAME: 'operator-0' };

function operator(env: Record<string, string>) {
  const parsed = parseOperatorConfig({ ...POD, ...env });
  if (!parsed.ok) throw new Error(parsed.faults.join('\n'));
  return parsed;
}

function faultsOf(env: Record<string, string>): string[] {
  const parsed = parseOperatorConfig({ ...POD, ...env });
  return parsed.ok ? [] : parsed.faults;
}

describe('the configuration of the operator', () => {
  test('has the defaults of the contract', () => {
    const { config, warnings } = operator({});
    expect(config).toEqual({
      providerURL: 'https://ocr.captchaai.com',
      callbackAllowHTTP: false,
      callbackSilenceLimit: 5,
      metricsBind: { host: undefined, port: 9090 },
      healthBind: { host: undefined, port: 8081 },
      leaderElection: true,
      leaseName: 'captcha-operator',
      podNamespace: 'captcha-system',
      podName: 'operator-0',
      maxConcurrentSubmissions: 32,
      pollIntervalMs: 10_000,
      maxPollsPerSecond: 20,
      unknownSubmissionGraceMs: 60_000,
      rejectedKeysLimit: 4,
      defaultTtlMs: 86_400_000,
      deadLetterRetryMinMs: 10_000,
      deadLetterRetryMaxMs: 300_000,
      deadLetterMaxAttempts: 30,
      deadLetterTtlMs: 86_400_000,
      logLevel: 'info',
    });
    expect(warnings).toEqual(['CALLBACK_URL: is not set; every task is polled']);
  });

  test('reports every fault together, each with variable, finding and expectation', () => {
    const faults = faultsOf({
      PROVIDER_URL: 'ocr.captchaai.com',
      POLL_INTERVAL_SECONDS: '0',
      LEADER_ELECTION: 'yes',
      METRICS_BIND_ADDRESS: '9090',
      WATCH_NAMESPACES: 'team-a,Team_B',
      LOG_LEVEL: 'verbose',
      DEFAULT_TTL_SECONDS_AFTER_FINISHED: 'forever',
      PROVIDER_API_KEY_FILE: 'keys/provider',
    });
    expect(faults).toEqual([
      'WATCH_NAMESPACES: found "team-a,Team_B", expected names of namespaces, separated by commas',
      'PROVIDER_URL: found "ocr.captchaai.com", expected an http(s) URL of at most 200 characters without query, fragment or credentials',
      'PROVIDER_API_KEY_FILE: found "keys/provider", expected an absolute path',
      'METRICS_BIND_ADDRESS: found "9090", expected ":port" or "address:port", with a port from 0 (the system chooses) to 65535',
      'LEADER_ELECTION: found "yes", expected "true" or "false"',
      'POLL_INTERVAL_SECONDS: found "0", expected a whole number of seconds from 1 to 3600',
      'DEFAULT_TTL_SECONDS_AFTER_FINISHED: found "forever", expected a whole number of seconds from 0 to 315360000, or "never"',
      'LOG_LEVEL: found "verbose", expected "debug" or "info" or "warn" or "error"',
    ]);
  });

  test.each(['1.5', '-1', '1e3', ' 5', '0x10', '99999999999999999999', 'five', '٣'])(
    'refuses the number %j instead of repairing it',
    (text) => {
      expect(faultsOf({ MAX_CONCURRENT_SUBMISSIONS: text })).toHaveLength(1);
    },
  );

  test('treats an empty variable as unset', () => {
    expect(operator({ POLL_INTERVAL_SECONDS: '', CALLBACK_URL: '', PROVIDER_API_KEY: '' }).config).toEqual(
      operator({}).config,
    );
  });

  test('never shows the API key, whether it is right or wrong', () => {
    const { config } = operator({ PROVIDER_API_KEY: KEY });
    expect(config.providerApiKey).toBe(KEY);
    expect(describeConfig(config)).toMatchObject({ PROVIDER_API_KEY: '[redacted]' });
    const wrong = `${KEY}\n`;
    expect(faultsOf({ PROVIDER_API_KEY: wrong }).join()).toMatch(
      /^PROVIDER_API_KEY: found \[redacted, 33 characters\]/,
    );
    expect(faultsOf({ PROVIDER_API_KEY: wrong }).join()).not.toContain(KEY);
  });

  test('warns about a key of another length than the provider asks for', () => {
    expect(operator({ PROVIDER_API_KEY: 'short' }).warnings.join()).toMatch(/PROVIDER_API_KEY: does not have the 32/);
  });

  test('accepts the key from one place only', () => {
    expect(faultsOf({ PROVIDER_API_KEY: KEY, PROVIDER_API_KEY_FILE: '/run/key' })).toEqual([
      'PROVIDER_API_KEY: set together with PROVIDER_API_KEY_FILE, expected only one of the two',
    ]);
  });

  test('accepts a plain http provider with a warning', () => {
    expect(operator({ PROVIDER_URL: 'http://127.0.0.1:8000' }).warnings[0]).toMatch(/^PROVIDER_URL: is "http:"/);
  });

  test('takes the Lease namespace and the pod name from the pod where they are unset', () => {
    const inPod = parseOperatorConfig({}, { serviceAccountNamespace: 'captchas', hostname: 'Operator-7f' });
    expect(inPod).toMatchObject({ ok: true, config: { podNamespace: 'captchas', podName: 'operator-7f' } });
    expect(parseOperatorConfig({})).toEqual({
      ok: false,
      faults: ['POD_NAMESPACE: not set, expected a namespace outside a pod, or LEADER_ELECTION=false'],
    });
    expect(parseOperatorConfig({ LEADER_ELECTION: 'false' }).ok).toBe(true);
  });

  test('never retries a dead letter later than its longest time', () => {
    expect(faultsOf({ DEAD_LETTER_RETRY_MIN_SECONDS: '400' })).toEqual([
      'DEAD_LETTER_RETRY_MAX_SECONDS: found 300, expected at least DEAD_LETTER_RETRY_MIN_SECONDS',
    ]);
  });

  test('refuses two listeners on one port, but lets the system choose for both', () => {
    expect(faultsOf({ METRICS_BIND_ADDRESS: ':8081' })).toEqual([
      'HEALTH_BIND_ADDRESS: found port 8081, expected another port than that of METRICS_BIND_ADDRESS',
    ]);
    expect(faultsOf({ METRICS_BIND_ADDRESS: '127.0.0.1:0', HEALTH_BIND_ADDRESS: '127.0.0.1:0' })).toEqual([]);
  });

  test('is frozen and can be described by variable name', () => {
    const { config } = operator({
      WATCH_NAMESPACES: 'team-a, team-b,team-a',
      HEALTH_BIND_ADDRESS: '[::1]:0',
      DEFAULT_TTL_SECONDS_AFTER_FINISHED: 'never',
    });
    expect(Object.isFrozen(config)).toBe(true);
    expect(describeConfig(config)).toMatchObject({
      WATCH_NAMESPACES: ['team-a', 'team-b'],
      HEALTH_BIND_ADDRESS: '[::1]:0',
      METRICS_BIND_ADDRESS: ':9090',
      DEFAULT_TTL_SECONDS_AFTER_FINISHED: 'never',
      POLL_INTERVAL_SECONDS: 10,
    });
  });
});

describe('the callback URL', () => {
  const keys = { CALLBACK_KEYS_FILE: '/run/keys' };

  test('needs the key file', () => {
    expect(faultsOf({ CALLBACK_URL: 'https://captcha.example.com' })).toEqual([
      'CALLBACK_KEYS_FILE: not set, expected an absolute path, because CALLBACK_URL is set',
    ]);
  });

  test('may have a path', () => {
    const { config } = operator({ ...keys, CALLBACK_URL: 'https://captcha.example.com/hooks' });
    expect(config.callbackURL).toBe('https://captcha.example.com/hooks');
  });

  test('is https unless plain http is allowed in so many words', () => {
    const plain = { ...keys, CALLBACK_URL: 'http://captcha.example.com' };
    expect(faultsOf(plain)).toEqual([
      'CALLBACK_URL: found "http://captcha.example.com", expected "https:", or CALLBACK_ALLOW_HTTP=true',
    ]);
    expect(operator({ ...plain, CALLBACK_ALLOW_HTTP: 'true' }).warnings.join()).toMatch(/CALLBACK_URL: is "http:"/);
  });

  test.each([
    ['a query', 'https://captcha.example.com/?a=hidden'],
    ['a fragment', 'https://captcha.example.com/#hidden'],
    ['credentials', 'https://user:hidden@captcha.example.com/'],
  ])('has no %s, and a fault does not repeat it', (_what, url) => {
    const faults = faultsOf({ ...keys, CALLBACK_URL: url });
    expect(faults).toHaveLength(1);
    expect(faults.join()).not.toContain('hidden');
  });

  test.each([
    'https://',
    'https://captcha example.com',
    ' https://captcha.example.com',
    'https:\\\\captcha.example.com',
    'ftp://captcha.example.com',
    'https://bücher.example',
    'https://captcha.example.com:99999',
  ])('is refused where a client might repair it silently: %j', (url) => {
    expect(faultsOf({ ...keys, CALLBACK_URL: url })).toHaveLength(1);
  });

  test('has at most 100 characters', () => {
    const url = `https://captcha.example.com/${'a'.repeat(72)}`;
    expect(faultsOf({ ...keys, CALLBACK_URL: url })).toEqual([]);
    expect(faultsOf({ ...keys, CALLBACK_URL: `${url}a` })).toHaveLength(1);
  });
});

describe('the configuration of the sidecar', () => {
  test('has its own ports and needs the key file', () => {
    expect(parseCallbackConfig({})).toEqual({
      ok: false,
      faults: ['CALLBACK_KEYS_FILE: not set, expected an absolute path'],
    });
    expect(parseCallbackConfig({ CALLBACK_KEYS_FILE: '/run/keys' })).toEqual({
      ok: true,
      warnings: [],
      config: {
        callbackKeysFile: '/run/keys',
        callbackBind: { host: undefined, port: 8080 },
        spoolDir: '/var/lib/captcha-operator/spool',
        metricsBind: { host: undefined, port: 9091 },
        healthBind: { host: undefined, port: 8082 },
        logLevel: 'info',
      },
    });
  });

  test("does not look at the operator's variables", () => {
    const parsed = parseCallbackConfig({
      CALLBACK_KEYS_FILE: '/run/keys',
      POLL_INTERVAL_SECONDS: 'x',
      PROVIDER_API_KEY: KEY,
    });
    expect(parsed.ok && 'providerApiKey' in parsed.config).toBe(false);
    expect(parsed.ok).toBe(true);
  });
});

const warnings = (parsed: { ok: true; warnings: string[] } | { ok: false }) => (parsed.ok ? parsed.warnings : []);

describe('the configuration of the gateway', () => {
  const env = { GATEWAY_KEYS_FILE: '/run/keys' };

  test('has its own ports, and no certificate', () => {
    expect(parseGatewayConfig(env)).toMatchObject({
      ok: true,
      config: {
        gatewayBind: { port: 8080 },
        gatewayTlsBind: { port: 8443 },
        metricsBind: { port: 9092 },
        healthBind: { port: 8083 },
      },
    });
    expect(JSON.stringify(parseGatewayConfig(env))).not.toContain('TlsCertFile');
  });

  test.each([
    ['GATEWAY_TLS_CERT_FILE', 'GATEWAY_TLS_KEY_FILE'],
    ['GATEWAY_TLS_KEY_FILE', 'GATEWAY_TLS_CERT_FILE'],
  ])('has both files of a pair or none: not %s alone', (given, missing) => {
    expect(parseGatewayConfig({ ...env, [given]: '/run/tls' })).toEqual({
      ok: false,
      faults: [`${missing}: not set, expected an absolute path, because ${given} is set`],
    });
  });

  test('refuses TLS on the port of another listener', () => {
    expect(parseGatewayConfig({ ...env, GATEWAY_TLS_BIND_ADDRESS: ':8080' })).toEqual({
      ok: false,
      faults: ['GATEWAY_TLS_BIND_ADDRESS: found port 8080, expected another port than that of GATEWAY_BIND_ADDRESS'],
    });
  });
});

describe('a forward proxy', () => {
  const PROXY = 'http://user:CANARY@proxy.example:3128';
  const env = { POD_NAMESPACE: 'ns', CALLBACK_KEYS_FILE: '/keys' };

  test('is for calls to the provider, and is not shown', () => {
    const parsed = parseOperatorConfig({ ...env, HTTPS_PROXY: PROXY, NO_PROXY: 'localhost,.svc' });
    if (!parsed.ok) throw new Error(parsed.faults.join());
    expect(parsed.config).toMatchObject({ httpsProxy: PROXY, noProxy: 'localhost,.svc' });
    expect(parsed.warnings).toContain(
      'HTTPS_PROXY: calls to the provider use it, those to the Kubernetes API never do',
    );
    expect(JSON.stringify([describeConfig(parsed.config), parsed.warnings])).not.toContain('CANARY');
  });

  test.each([
    'https://proxy.example:3128',
    'proxy.example:3128',
    'socks5://proxy.example',
    'http://proxy.example/path',
  ])('at %s is refused', (url) => {
    const parsed = parseOperatorConfig({ ...env, HTTPS_PROXY: url });
    expect(parsed.ok ? [] : parsed.faults).toEqual([expect.stringMatching(/^HTTPS_PROXY: found/)]);
  });

  test('is said to be without effect where no call uses it', () => {
    const unused = expect.stringMatching(/^HTTPS_PROXY: no call uses it/) as string;
    expect(warnings(parseCallbackConfig({ ...env, HTTPS_PROXY: PROXY }))).toEqual([unused]);
    const plain = { ...env, HTTPS_PROXY: PROXY, PROVIDER_URL: 'http://provider.example' };
    expect(warnings(parseOperatorConfig(plain))).toContainEqual(unused);
    for (const name of ['https_proxy', 'ALL_PROXY']) {
      const said = warnings(parseOperatorConfig({ ...env, [name]: PROXY }));
      expect(said).toContainEqual(expect.stringMatching(new RegExp(`^${name}: no call uses it`)));
      expect(said.join()).not.toContain('CANARY');
    }
  });
});

const leaseName = (env: Record<string, string>): unknown => {
  const parsed = parseOperatorConfig({ POD_NAMESPACE: 'ns', ...env });
  return parsed.ok ? parsed.config.leaseName : parsed.faults;
};

test('the Lease has a name of its own where one is given', () => {
  expect(leaseName({})).toBe('captcha-operator');
  expect(leaseName({ LEASE_NAME: 'captcha-operator-blue' })).toBe('captcha-operator-blue');
  expect(leaseName({ LEASE_NAME: 'Not A Name' })).toEqual([expect.stringMatching(/^LEASE_NAME: found/)]);
  // The journal's name is longer by eight.
  expect(leaseName({ LEASE_NAME: 'l'.repeat(245) })).toHaveLength(245);
  expect(leaseName({ LEASE_NAME: 'l'.repeat(246) })).toEqual([expect.stringMatching(/^LEASE_NAME: found/)]);
});
