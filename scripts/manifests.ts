/**
 * One file for each overlay, and the tenant's, `npm run manifests -- --image REF [--out FOLDER]`: what a release publishes and a
 * `kubectl apply -f` installs. REF is the image to run, by its digest where it is in a registry. Renders with the
 * `kubectl` on the PATH.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILES = {
  'cluster-wide': 'install.yaml',
  'single-namespace': 'install-single-namespace.yaml',
  'durable-spool': 'install-durable-spool.yaml',
  monitoring: 'install-monitoring.yaml',
};
const CONTAINERS = 2;

/** Puts the image into a rendered overlay; throws where it is not found in both containers. */
export function withImage(text: string, image: string): string {
  const named = /^(\s+image: )captcha-operator:\S+$/gm;
  if (text.match(named)?.length !== CONTAINERS) throw new Error(`expected ${CONTAINERS} containers with our image`);
  return text.replaceAll(named, (_, start: string) => `${start}${image}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { image: { type: 'string' }, out: { type: 'string', default: 'release' } } });
  const { image, out } = values;
  if (image === undefined || !/^[a-z0-9]\S*[:@]\S+$/.test(image)) {
    throw new Error('--image needs a name in lower case with a tag or a digest');
  }
  mkdirSync(out, { recursive: true });
  for (const [overlay, file] of Object.entries(FILES)) {
    const text = execFileSync('kubectl', ['kustomize', join(ROOT, 'deploy/overlays', overlay)], { encoding: 'utf8' });
    writeFileSync(join(out, file), withImage(text, image));
    console.log(join(out, file));
  }
  copyFileSync(join(ROOT, 'deploy/tenant/rbac.yaml'), join(out, 'tenant.yaml'));
}
