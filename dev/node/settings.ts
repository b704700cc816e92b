/**
 * The configuration files and command lines of a node's daemons. Values only. Two things differ from what kubeadm would
 * write, both so that the node also runs where the machine gives a process less than everything: nobody lowers an
 * `oom_score_adj`, and cgroup v1 is accepted.
 */

export const NODE = 'node';
export const ADDRESS = '172.31.0.2';
export const CLUSTER_DNS = '10.96.0.10';
export const FIRST_SERVICE = '10.96.0.1';
/** The parent of every cgroup that the kubelet makes. */
export const CGROUP = 'captcha-operator-node';
const SERVICES = '10.96.0.0/16';
const PODS = '10.244.0.0/16';
/** What the controller manager gives the first node of that range. */
const NODE_PODS = '10.244.0.0/24';
/** In the node's own tree. */
const SHARE = '/node';
const PKI = `${SHARE}/pki`;
const SOCKET = '/run/containerd/containerd.sock';
export const PAUSE_IMAGE = 'localhost/pause:1';
export const DNS_IMAGE = 'localhost/coredns:1';

/** Files by their name below the share. */
export function filesOf(): Record<string, string> {
  return {
    'cni.conflist': JSON.stringify(network()),
    'containerd.toml': containerd(),
    'kubelet.yaml': JSON.stringify(kubelet()),
    'kube-proxy.yaml': JSON.stringify(kubeProxy()),
  };
}

function network(): object {
  const ipam = { type: 'host-local', ranges: [[{ subnet: NODE_PODS }]] };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, isDefaultGateway: true, hairpinMode: true, ipam };
  return { cniVersion: '1.0.0', name: 'node', plugins: [bridge] };
}

function containerd(): string {
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${SOCKET}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${SHARE}/bin"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
`;
}

function kubelet(): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${PKI}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${PKI}/kubelet-server.crt`,
    tlsPrivateKeyFile: `${PKI}/kubelet-server.key`,
    containerRuntimeEndpoint: `unix://${SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${CGROUP}`,
    failCgroupV1: false,
    clusterDNS: [CLUSTER_DNS],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    failSwapOn: false,
    oomScoreAdj: 0,
    serializeImagePulls: false,
    // The disk is the machine's; what lies on it is none of the node's business.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  };
}

function kubeProxy(): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: `${PKI}/proxy.conf` },
    clusterCIDR: PODS,
    hostnameOverride: NODE,
    // The table's size belongs to the machine.
    conntrack: { maxPerCore: 0, min: 0 },
    oomScoreAdj: 0,
  };
}

export type Daemon = { name: string; flags: readonly string[] };

/** They need nobody, in this order. */
export const ETCD: Daemon = {
  name: 'etcd',
  flags: [
    '--data-dir=/var/lib/etcd',
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    // The data dies with the node.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ],
};
export const API_SERVER: Daemon = {
  name: 'kube-apiserver',
  flags: [
    '--etcd-servers=http://127.0.0.1:2379',
    `--advertise-address=${ADDRESS}`,
    '--secure-port=6443',
    `--tls-cert-file=${PKI}/apiserver.crt`,
    `--tls-private-key-file=${PKI}/apiserver.key`,
    `--client-ca-file=${PKI}/ca.crt`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${PKI}/sa.pub`,
    `--service-account-signing-key-file=${PKI}/sa.key`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--service-cluster-ip-range=${SERVICES}`,
    `--kubelet-client-certificate=${PKI}/kubelet-client.crt`,
    `--kubelet-client-key=${PKI}/kubelet-client.key`,
    `--kubelet-certificate-authority=${PKI}/ca.crt`,
    '--kubelet-preferred-address-types=InternalIP',
    '--allow-privileged=true',
  ],
};
export const CONTAINERD: Daemon = { name: 'containerd', flags: [`--config=${SHARE}/containerd.toml`] };

/** They need the API server, which refuses everybody but administrators until it has made its roles. */
export const LATER: readonly Daemon[] = [
  {
    name: 'kube-controller-manager',
    flags: [
      ...kubeconfigs('controller-manager'),
      '--use-service-account-credentials',
      `--service-account-private-key-file=${PKI}/sa.key`,
      `--root-ca-file=${PKI}/ca.crt`,
      `--cluster-signing-cert-file=${PKI}/ca.crt`,
      `--cluster-signing-key-file=${PKI}/ca.key`,
      '--allocate-node-cidrs',
      `--cluster-cidr=${PODS}`,
      '--leader-elect=false',
    ],
  },
  { name: 'kube-scheduler', flags: [...kubeconfigs('scheduler'), '--leader-elect=false'] },
  {
    name: 'kubelet',
    flags: [
      `--config=${SHARE}/kubelet.yaml`,
      `--kubeconfig=${PKI}/kubelet.conf`,
      `--hostname-override=${NODE}`,
      `--node-ip=${ADDRESS}`,
    ],
  },
  { name: 'kube-proxy', flags: [`--config=${SHARE}/kube-proxy.yaml`] },
];

/** Enforces NetworkPolicies and nothing else: the bridge and kube-proxy stay. */
export const POLICIES: Daemon = {
  name: 'kube-router',
  flags: [
    `--kubeconfig=${PKI}/admin.conf`,
    `--hostname-override=${NODE}`,
    '--run-router=false',
    '--run-service-proxy=false',
    '--run-loadbalancer=false',
    '--run-firewall=true',
    `--service-cluster-ip-range=${SERVICES}`,
    '--health-port=0',
    '--metrics-port=0',
    '--iptables-sync-period=10s',
  ],
};

function kubeconfigs(name: string): string[] {
  const file = `${PKI}/${name}.conf`;
  return [`--kubeconfig=${file}`, `--authentication-kubeconfig=${file}`, `--authorization-kubeconfig=${file}`];
}
