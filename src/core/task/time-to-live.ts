/**
 * When a finished task is to be deleted. A task that Argo CD or Flux keeps in a cluster is never deleted by the default:
 * they would create it anew within minutes, as a task of another uid, and it would be paid for again, for ever. Such a
 * task is deleted by its own `ttlSecondsAfterFinished` only, which somebody wrote with it.
 *
 * Judged by metadata, so it takes a whole object of the API: what the cache keeps has neither labels nor annotations.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ObjectMeta } from '../../api/conditions.ts';
import { API_VERSION } from '../../api/names.ts';
import { parseTime } from './times.ts';
import { isFinished } from './transitions.ts';

/** `undefined`: tasks without their own time are kept. */
export type DefaultTtlSeconds = number | undefined;

/** Epoch milliseconds when a finished task is to be deleted; undefined where it is kept or not finished. */
export function dueTime(task: CaptchaTask, defaultSeconds: DefaultTtlSeconds): number | undefined {
  const seconds = ttlSeconds(task, defaultSeconds);
  const completedAt = parseTime(task.status?.completionTime);
  if (seconds === undefined || completedAt === undefined || !isFinished(task)) return undefined;
  return completedAt + seconds * 1_000;
}

/** How long it stays after its end. Of a task of the cache this is the least: the whole object may say "kept". */
export function ttlSeconds({ metadata, spec }: CaptchaTask, defaultSeconds: DefaultTtlSeconds): number | undefined {
  return spec.ttlSecondsAfterFinished ?? (isKeptByGitOps(metadata) ? undefined : defaultSeconds);
}

const [GROUP = ''] = API_VERSION.split('/');
const ARGO_TRACKING_ID = 'argocd.argoproj.io/tracking-id';
/** Its own label. The other one in use, app.kubernetes.io/instance, is everybody's and proves nothing by itself. */
const ARGO_INSTANCE = 'argocd.argoproj.io/instance';
/** With tracking by label, whose name anybody may configure, what Argo CD wrote is known by the name it writes under. */
const ARGO_WRITER = /^argocd-(application-)?controller$/;
/** Kustomizations and HelmReleases label what they apply. */
const FLUX_OWNER = /^(kustomize|helm)\.toolkit\.fluxcd\.io\/name$/;

/** Metadata that another controller copied to tasks of its own is no sign: those go with their owner. */
function isKeptByGitOps(metadata: ObjectMeta): boolean {
  const { labels = {}, ownerReferences = [] } = metadata;
  if (ownerReferences.some(({ controller }) => controller === true)) return false;
  return ARGO_INSTANCE in labels || Object.keys(labels).some((label) => FLUX_OWNER.test(label)) || isArgos(metadata);
}

/** `<application>:<group>/<kind>:<namespace>/<name>`; like Argo CD, an id of another object counts for nothing. */
function isArgos({ name, annotations = {}, managedFields = [] }: ObjectMeta): boolean {
  const id = annotations[ARGO_TRACKING_ID] ?? '';
  if (id.includes(`:${GROUP}/CaptchaTask:`) && id.endsWith(`/${name}`)) return true;
  return managedFields.some(({ manager = '' }) => ARGO_WRITER.test(manager));
}
