/** The DNS of the cluster, as objects. Answers for Services only: nothing in the node has a name outside. */
import { CLUSTER_DNS, DNS_IMAGE } from './settings.ts';

const LABELS = { 'k8s-app': 'kube-dns' };
const HOME = { name: 'coredns', namespace: 'kube-system' };
const COREFILE = `.:5353 {
  ready
  errors
  kubernetes cluster.local in-addr.arpa
  cache 5
}
`;

export function dnsManifests(): object {
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: HOME },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'coredns' },
        rules: [
          { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
        ],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'coredns' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'coredns' },
        subjects: [{ kind: 'ServiceAccount', ...HOME }],
      },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: HOME, data: { Corefile: COREFILE } },
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: HOME, spec: deployment() },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace: HOME.namespace, labels: LABELS },
        spec: {
          clusterIP: CLUSTER_DNS,
          selector: LABELS,
          ports: ['UDP', 'TCP'].map((protocol) => ({
            name: `dns-${protocol.toLowerCase()}`,
            port: 53,
            targetPort: 5353,
            protocol,
          })),
        },
      },
    ],
  };
}

function deployment(): object {
  const container = {
    name: 'coredns',
    image: DNS_IMAGE,
    imagePullPolicy: 'Never',
    args: ['-conf', '/etc/coredns/Corefile'],
    readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
  };
  const spec = {
    serviceAccountName: HOME.name,
    priorityClassName: 'system-cluster-critical',
    dnsPolicy: 'Default',
    // A drain of the node leaves it: whoever drains must say --ignore-daemonsets or a selector of pods.
    tolerations: [{ operator: 'Exists' }],
    containers: [container],
    volumes: [{ name: 'config', configMap: { name: HOME.name } }],
  };
  return { selector: { matchLabels: LABELS }, template: { metadata: { labels: LABELS }, spec } };
}
