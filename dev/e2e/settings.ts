/** The operator's installation as its documents describe it, with the simulator's address. Values and files only. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PROVIDER, ROOT, SYSTEM } from './stage.ts';

/** All that an installation sets here; everything else is as shipped. */
export const SETTINGS: Readonly<Record<string, string>> = {
  CALLBACK_URL: `http://captcha-operator-callback.${SYSTEM}.svc.cluster.local`,
  CALLBACK_ALLOW_HTTP: 'true',
  PROVIDER_URL: `http://${PROVIDER.name}.${PROVIDER.namespace}.svc.cluster.local:${PROVIDER.port}`,
};

export type Overlay = 'cluster-wide' | 'durable-spool';

/** `registry/name:tag` -> its two parts. */
export function splitImage(image: string): { name: string; tag: string } {
  const [, name = image, tag = 'latest'] = /^(.*):([^:/]+)$/.exec(image) ?? [];
  return { name, tag };
}

/** An overlay of one's own on a shipped one, as deploy/examples/overlay shows; returns its folder. */
export async function writeOverlay(
  overlay: Overlay,
  { image, scratch }: { image: string; scratch: string },
): Promise<string> {
  const folder = join(scratch, 'overlays', overlay);
  await mkdir(folder, { recursive: true });
  const { name, tag } = splitImage(image);
  const literals = Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`);
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: SYSTEM,
    resources: [relative(folder, join(ROOT, 'deploy/overlays', overlay))],
    configMapGenerator: [{ name: 'captcha-operator-settings', behavior: 'merge', literals }],
    images: [{ name: 'captcha-operator', newName: name, newTag: tag }],
  };
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
  return folder;
}
