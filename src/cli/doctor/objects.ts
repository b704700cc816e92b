/**
 * What is wrong with the installed objects: definitions, Deployments, pods and the Lease. Pure: facts in, findings out. It
 * says nothing about what could not be seen but that.
 */
import { CAPTCHA_TYPES, VERSION } from '../../api/names.ts';
import { ageOf } from '../session.ts';
import {
  judged,
  type ContainerState,
  type ContainerStatus,
  type Definition,
  type Deployment,
  type Facts,
  type Finding,
  type Pod,
} from './facts.ts';

const INSTALL = 'install it (docs/installation.md)';

export function objectFindings(facts: Facts, nowMs: number): Finding[] {
  return [
    ...definitionFindings(facts),
    ...deploymentFindings(facts),
    ...podFindings(facts),
    ...leaseFindings(facts, nowMs),
  ];
}

function definitionFindings({ definitions }: Facts): Finding[] {
  return Object.entries(definitions).flatMap(([plural, seen]) => {
    const name = `the definition of ${plural}`;
    const cure = 'kubectl apply -k deploy/crds, or by your chart (docs/installation.md)';
    const absent: Finding = { id: 'crd-missing', level: 'fault', says: `There is no definition of ${plural}.`, cure };
    return judged(seen, { id: 'crd', name, absent }, (definition) => definitionFaults(plural, definition, cure));
  });
}

function definitionFaults(plural: string, definition: Definition, cure: string): Finding[] {
  const { metadata, spec } = definition;
  const fault = (id: string, says: string): Finding => ({ id, level: 'fault', says, cure });
  if (metadata.deletionTimestamp !== undefined) {
    const says = `The definition of ${plural} is being deleted, with every object of it.`;
    return [
      {
        id: 'crd-deleting',
        level: 'fault',
        says,
        cure: 'once it is gone, apply it anew; docs/operations.md, "Back up"',
      },
    ];
  }
  const version = spec.versions.find(({ name, served }) => name === VERSION && served);
  if (version === undefined) return [fault('crd-version', `The definition of ${plural} does not serve ${VERSION}.`)];
  const word = unestablished(definition);
  if (word !== undefined)
    return [fault('crd-not-established', `The definition of ${plural} is not established: ${word}.`)];
  const known = JSON.stringify(version.schema ?? {});
  const missing = plural === 'captchatasks' ? CAPTCHA_TYPES.filter((type) => !known.includes(`"${type}"`)) : [];
  if (missing.length === 0) return [];
  const says = `The definition of ${plural} is older than this program: it does not know ${missing.join(', ')}.`;
  return [{ id: 'crd-old', level: 'warning', says, cure }];
}

function unestablished({ status }: Definition): string | undefined {
  const established = status?.conditions?.find(({ type }) => type === 'Established');
  return established?.status === 'True' ? undefined : (established?.message ?? 'no word yet');
}

function deploymentFindings({ deployment, gateway, systemNamespace: ns }: Facts): Finding[] {
  const absent: Finding = {
    id: 'operator-missing',
    level: 'fault',
    says: `There is no Deployment or StatefulSet captcha-operator in ${ns}.`,
    cure: `${INSTALL}, or say where it runs: --system-namespace`,
    runbook: 'CaptchaOperatorAbsent',
  };
  return [
    ...judged(deployment, { id: 'operator', name: 'the operator', absent }, (one) => replicaFaults(one, ns)),
    ...judged(gateway, { id: 'gateway', name: 'the gateway' }, (one) => replicaFaults(one, ns)),
  ];
}

function replicaFaults(deployment: Deployment, ns: string): Finding[] {
  const { name, workload, wanted, ready, isCurrent } = replicasOf(deployment);
  const runbook = name === 'captcha-gateway' ? 'CaptchaGatewayRefusing' : 'CaptchaOperatorAbsent';
  if (wanted === 0) {
    const cure = `kubectl -n ${ns} scale ${workload} --replicas=2`;
    return [{ id: 'scaled-to-zero', level: 'fault', says: `${name} is scaled to 0: nothing is done.`, cure, runbook }];
  }
  if (ready < wanted) {
    const cure = `kubectl -n ${ns} describe ${workload}; kubectl -n ${ns} get pods`;
    const says = `${name}: ${ready} of ${wanted} pods are ready.`;
    return [{ id: 'not-ready', level: ready === 0 ? 'fault' : 'warning', says, cure, runbook }];
  }
  if (isCurrent) return [];
  const cure = `kubectl -n ${ns} rollout status ${workload}`;
  return [{ id: 'rolling-out', level: 'warning', says: `${name} is being rolled out.`, cure }];
}

function replicasOf({ kind = 'Deployment', metadata, spec, status = {} }: Deployment) {
  const { name, generation = 0 } = metadata;
  const { replicas: wanted = 1 } = spec;
  const { readyReplicas: ready = 0, observedGeneration = 0 } = status;
  return {
    name,
    workload: `${kind.toLowerCase()}/${name}`,
    wanted,
    ready,
    isCurrent: observedGeneration >= generation,
  };
}

function podFindings({ pods, systemNamespace: ns }: Facts): Finding[] {
  return judged(pods, { id: 'pods', name: 'the pods' }, (all) => all.flatMap((pod) => podFaults(pod, ns)));
}

/** What a waiting container waits for, and what to do. */
const WAITING: Readonly<Record<string, string>> = {
  ImagePullBackOff: 'the cluster has no image of that name: docs/installation.md, "An image of your own"',
  ErrImagePull: 'the cluster has no image of that name: docs/installation.md, "An image of your own"',
  CreateContainerConfigError: 'a ConfigMap or Secret that the pod needs is missing: kubectl describe names it',
  CrashLoopBackOff: 'its log says why',
};
/** How our processes end on a wrong setting (contract, section 8). */
const EXIT_CONFIG = 2;
const MANY_RESTARTS = 5;

function podFaults({ metadata, status }: Pod, ns: string): Finding[] {
  const { name } = metadata;
  const unscheduled = status?.conditions?.find((one) => one.type === 'PodScheduled' && one.status === 'False');
  if (unscheduled !== undefined) {
    const says = `Pod ${name} has no node: ${unscheduled.message}`;
    return [{ id: 'pod-unscheduled', level: 'fault', says, cure: `kubectl -n ${ns} describe pod ${name}` }];
  }
  return (status?.containerStatuses ?? []).flatMap((container) => containerFaults(container, name, ns));
}

function containerFaults(container: ContainerStatus, pod: string, ns: string): Finding[] {
  const log = `kubectl -n ${ns} logs ${pod} -c ${container.name} --previous`;
  const at = `Container ${container.name} of pod ${pod}`;
  const waiting = container.state?.waiting?.reason ?? '';
  if (endsOnSetting(container)) {
    const cure = `${log} names each; docs/configuration.md`;
    return [{ id: 'wrong-setting', level: 'fault', says: `${at} ends on a wrong setting.`, cure }];
  }
  if (waiting in WAITING) {
    return [
      { id: 'pod-waiting', level: 'fault', says: `${at} waits: ${waiting}.`, cure: `${WAITING[waiting]}; ${log}` },
    ];
  }
  if (lastEnd(container)?.reason === 'OOMKilled') {
    const cure = 'raise its limit (docs/operations.md)';
    return [{ id: 'out-of-memory', level: 'warning', says: `${at} was killed for want of memory.`, cure }];
  }
  const { restartCount = 0 } = container;
  if (restartCount < MANY_RESTARTS) return [];
  return [{ id: 'restarts', level: 'warning', says: `${at} was started ${restartCount} times anew.`, cure: log }];
}

function lastEnd({ state, lastState }: ContainerStatus): ContainerState['terminated'] {
  return state?.terminated ?? lastState?.terminated;
}

function endsOnSetting(container: ContainerStatus): boolean {
  return container.ready !== true && lastEnd(container)?.exitCode === EXIT_CONFIG;
}

/** Twice the usual duration, and room for a clock that is not this one. */
const STALE_MS = 60_000;

function leaseFindings({ lease, deployment, settings, systemNamespace: ns }: Facts, nowMs: number): Finding[] {
  if (deployment.kind === 'absent') return [];
  if (settings.kind === 'seen' && settings.value['LEADER_ELECTION'] === 'false') return [];
  const runbook = 'CaptchaOperatorNoLeader';
  const workload = deployment.kind === 'seen' ? (deployment.value.kind ?? 'Deployment').toLowerCase() : 'deployment';
  const cure = `kubectl -n ${ns} logs ${workload}/captcha-operator -c operator | grep -iE 'lease|leading'`;
  const fault = (id: string, says: string): Finding => ({ id, level: 'fault', says, cure, runbook });
  const absent = fault('no-lease', `No operator leads: there is no Lease captcha-operator in ${ns}.`);
  return judged(lease, { id: 'lease', name: 'the Lease', absent }, ({ spec = {} }) => {
    if (!spec.holderIdentity) return [fault('lease-free', 'No operator leads: nobody holds the Lease.')];
    const renewedMs = Date.parse(spec.renewTime ?? '');
    if (nowMs - renewedMs < STALE_MS) return [];
    const since = Number.isNaN(renewedMs) ? 'ever' : `for ${ageOf(renewedMs, nowMs)} (by this machine's clock)`;
    return [fault('lease-stale', `No operator leads: ${spec.holderIdentity} has not renewed the Lease ${since}.`)];
  });
}
