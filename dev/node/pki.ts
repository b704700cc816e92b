/**
 * The certificates and kubeconfigs of one node, as kubeadm lays them out, made with the machine's openssl. They are good
 * for a day: the node lives for minutes.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../command.ts';

export interface Names {
  node: string;
  address: string;
  /** First address of the Services' range: that of the API server. */
  service: string;
}

interface Certificate {
  file: string;
  subject: string;
  /** Host names and addresses of a server; none: a client. */
  hosts?: readonly string[];
}

/** `server` is what each kubeconfig names. */
export async function makePki(directory: string, { node, address, service }: Names): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args], { cwd: directory });
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ca.key');
  const usage = 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature';
  await openssl(...'req -x509 -new -key ca.key -subj /CN=node-ca -days 1 -out ca.crt -addext'.split(' '), usage);
  await openssl('genrsa', '-out', 'sa.key', '2048');
  await openssl('rsa', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
  const kubernetes = ['', '.default', '.default.svc', '.default.svc.cluster.local'].map((rest) => `kubernetes${rest}`);
  const certificates: Certificate[] = [
    {
      file: 'apiserver',
      subject: '/CN=kube-apiserver',
      hosts: [...kubernetes, 'localhost', '127.0.0.1', address, service],
    },
    { file: 'kubelet-server', subject: `/CN=${node}`, hosts: [node, address] },
    { file: 'kubelet-client', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
    { file: 'admin', subject: '/O=system:masters/CN=admin' },
    { file: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
    { file: 'scheduler', subject: '/CN=system:kube-scheduler' },
    { file: 'proxy', subject: '/CN=system:kube-proxy' },
    { file: 'kubelet', subject: `/O=system:nodes/CN=system:node:${node}` },
  ];
  for (const certificate of certificates) await sign(directory, certificate);
  for (const name of ['admin', 'controller-manager', 'scheduler', 'proxy', 'kubelet']) {
    await writeKubeconfig(directory, name, `https://${address}:6443`);
  }
}

async function sign(directory: string, { file, subject, hosts }: Certificate): Promise<void> {
  const openssl = (...args: string[]): Promise<string> => run(['openssl', ...args], { cwd: directory });
  const names = hosts?.map((host) => `${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}`).join(',');
  const purpose = hosts === undefined ? 'clientAuth' : 'serverAuth';
  const extensions = ['keyUsage=digitalSignature', `extendedKeyUsage=${purpose}`];
  if (names !== undefined) extensions.push(`subjectAltName=${names}`);
  await writeFile(join(directory, `${file}.ext`), extensions.join('\n'));
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${file}.key`);
  await openssl('req', '-new', '-key', `${file}.key`, '-subj', subject, '-out', `${file}.csr`);
  const signing = `x509 -req -in ${file}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile ${file}.ext`;
  await openssl(...signing.split(' '), '-out', `${file}.crt`);
}

/** Writes `<name>.conf`, which holds all that it needs. */
export async function writeKubeconfig(directory: string, name: string, server: string, file = name): Promise<string> {
  const data = async (part: string): Promise<string> => (await readFile(join(directory, part))).toString('base64');
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'node',
    clusters: [{ name: 'node', cluster: { server, 'certificate-authority-data': await data('ca.crt') } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': await data(`${name}.crt`),
          'client-key-data': await data(`${name}.key`),
        },
      },
    ],
    contexts: [{ name: 'node', context: { cluster: 'node', user: name } }],
  };
  const path = join(directory, `${file}.conf`);
  await writeFile(path, JSON.stringify(kubeconfig), { mode: 0o600 });
  return path;
}
