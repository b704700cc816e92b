/**
 * What is wrong with what the operator works with: keys, rights and the callback URL. Pure: facts in, findings out. Of keys
 * it knows the names only.
 */
import { judged, type Facts, type Finding, type Right, type SecretFacts } from './facts.ts';

export function meansFindings(facts: Facts): Finding[] {
  return [...secretFindings(facts), ...rightFindings(facts), ...callbackFindings(facts)];
}

function secretFindings(facts: Facts): Finding[] {
  if (facts.deployment.kind !== 'seen') return [];
  return [...callbackKeyFindings(facts), ...providerKeyFindings(facts), ...gatewayKeyFindings(facts)];
}

function lacks({ keys }: SecretFacts, key: string): boolean {
  return keys !== undefined && !keys.includes(key);
}

function gatewayKeyFindings({ gateway, gatewayKeys }: Facts): Finding[] {
  if (gateway.kind !== 'seen') return [];
  const cure = 'create it (docs/gateway.md)';
  const runbook = 'CaptchaGatewayKeysReloadFailed';
  const fault = (id: string, says: string): Finding => ({ id, level: 'fault', says, cure, runbook });
  const absent = fault('gateway-keys-missing', 'The gateway runs, and the Secret captcha-gateway-keys is missing.');
  return judged(gatewayKeys, { id: 'gateway-keys', name: 'the gateway keys', absent }, (secret) =>
    lacks(secret, 'keys') ? [fault('gateway-keys-empty', 'The Secret captcha-gateway-keys has no entry "keys".')] : [],
  );
}

function callbackKeyFindings({ callbackKeys, settings }: Facts): Finding[] {
  const url = settings.kind === 'seen' ? settings.value['CALLBACK_URL'] : undefined;
  if (url === undefined || url === '') return [];
  const cure = 'create it (docs/operations.md, "The callback host")';
  const runbook = 'CaptchaCallbackReceiverAbsent';
  const fault = (id: string, says: string): Finding => ({ id, level: 'fault', says, cure, runbook });
  const absent = fault(
    'callback-keys-missing',
    'CALLBACK_URL is set, and the Secret with the callback keys is missing.',
  );
  return judged(callbackKeys, { id: 'callback-keys', name: 'the callback keys', absent }, (secret) =>
    lacks(secret, 'keys')
      ? [fault('callback-keys-empty', 'The Secret with the callback keys has no entry "keys".')]
      : [],
  );
}

function providerKeyFindings({ providerKey, systemNamespace: ns }: Facts): Finding[] {
  const name = 'captcha-operator-provider';
  const absent: Finding = {
    id: 'provider-key-missing',
    level: 'warning',
    says: `There is no Secret ${name}: every task must bring its own key (apiKeySecretRef).`,
    cure: 'create it (docs/installation.md), unless that is meant',
  };
  return judged(providerKey, { id: 'provider-key', name: 'the provider key', absent }, (secret) => {
    if (lacks(secret, 'api-key')) {
      const says = `The Secret ${name} has no entry "api-key": every task must bring its own.`;
      return [
        {
          id: 'provider-key-empty',
          level: 'fault',
          says,
          cure: 'create it anew (docs/installation.md)',
          runbook: 'CaptchaProviderKeyRejected',
        },
      ];
    }
    if (secret.isPrivate) return [];
    const says = `A task in ${ns} may name the Secret ${name} and so send it to the provider.`;
    const cure = `kubectl -n ${ns} annotate secret ${name} captcha-operator.io/private=true`;
    return [{ id: 'provider-key-open', level: 'warning', says, cure }];
  });
}

function words(rights: readonly Right[]): string {
  const each = rights.map(
    ({ verb, resource, namespace }) => `${verb} ${resource}${namespace === '' ? '' : ` in ${namespace}`}`,
  );
  return each.join(', ');
}

function rightFindings({ mine, operators, deployment }: Facts): Finding[] {
  const lacking = mine.filter(({ allowed }) => !allowed);
  const own: Finding[] =
    lacking.length === 0
      ? [{ id: 'my-rights', level: 'fine', says: 'You may create and read tasks, and redrive letters' }]
      : [
          {
            id: 'my-rights',
            level: 'warning',
            says: `You may not ${words(lacking)}.`,
            cure: 'ask for the role edit in the namespace; the install adds these rights to it (deploy/roles)',
          },
        ];
  if (deployment.kind === 'absent') return own;
  const theirs = judged(operators, { id: 'operator-rights', name: "the operator's rights" }, (rights) => {
    const missing = rights.filter(({ allowed }) => !allowed);
    const tenants = missing.filter(({ resource }) => ['secrets', 'configmaps'].includes(resource));
    const others = missing.filter((right) => !tenants.includes(right));
    const spaces = [...new Set(tenants.map(({ namespace }) => namespace))];
    return [
      ...(others.length === 0 ? [] : [operatorLacks(words(others))]),
      ...spaces.map((namespace) =>
        tenantLacks(namespace, words(tenants.filter((right) => right.namespace === namespace))),
      ),
    ];
  });
  return [...own, ...theirs];
}

function operatorLacks(what: string): Finding {
  const cure = 'apply the install anew: its roles were changed, or are bound in another namespace';
  return {
    id: 'operator-forbidden',
    level: 'fault',
    says: `The operator may not ${what}.`,
    cure,
    runbook: 'CaptchaOperatorWatchRefused',
  };
}

function tenantLacks(namespace: string, what: string): Finding {
  const says = `Tasks in ${namespace} name Secrets or ConfigMaps, and the operator may not ${what}.`;
  const cure = `kubectl apply --namespace ${namespace} -k deploy/tenant`;
  return { id: 'tenant-forbidden', level: 'fault', says, cure, runbook: 'CaptchaDeadLettersGrowing' };
}

function callbackFindings({ callback, settings }: Facts): Finding[] {
  const url = settings.kind === 'seen' ? settings.value['CALLBACK_URL'] : undefined;
  if (url === undefined || url === '') {
    if (settings.kind !== 'seen') return [];
    return [{ id: 'callback-none', level: 'fine', says: 'No CALLBACK_URL is set: every task is polled' }];
  }
  const cure = 'docs/operations.md, "The callback host", from the route to the Service captcha-operator-callback';
  const runbook = 'CaptchaCallbackReceiverAbsent';
  const fault = (id: string, says: string): Finding => ({ id, level: 'fault', says, cure, runbook });
  if (callback.kind === 'trouble')
    return [fault('callback-unreachable', `${url} cannot be reached from here: ${callback.why}.`)];
  return judged(callback, { id: 'callback', name: `${url} (asked from here)` }, ({ status, hasBody }) => {
    if (status === 404 && !hasBody) return [];
    if (status === 503)
      return [fault('callback-unavailable', `${url} answers 503: no sidecar is ready, or it has no keys.`)];
    if (status < 300)
      return [
        fault(
          'callback-swallowed',
          `${url} answers ${status} to a token that nobody made: something in front of the sidecar answers, and callbacks get lost behind it.`,
        ),
      ];
    return [
      fault(
        'callback-foreign',
        `${url} answers ${status}, and not the sidecar's empty 404: something in front of it answers.`,
      ),
    ];
  });
}
