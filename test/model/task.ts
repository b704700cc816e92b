/** The task that the model is about. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { waiting } from '../../src/core/task/transitions.ts';
import { aTask } from '../support/builders.ts';
import type { Configuration } from './configurations.ts';
import { DEADLINE_SECONDS, NOW } from './time.ts';

const ONCE = {
  type: 'GeeTestV3',
  geeTestV3: { gt: 'g', challenge: 'c', pageURL: 'https://example.com/login' },
} as const;

export function newTask(configuration: Configuration, uid: number): CaptchaTask {
  const { backoffLimit, once, waited, secret, pingback = true } = configuration;
  const task = aTask()
    .uid(`uid-${uid}`)
    .spec({
      ...(once === true ? { captcha: ONCE } : {}),
      backoffLimit,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      delivery: pingback ? 'Callback' : 'Poll',
      ...(secret === undefined ? {} : { solutionSecretName: 'solution' }),
    })
    .build();
  const metadata = { ...task.metadata, resourceVersion: '~v9' };
  if (waited !== true) return { ...task, metadata };
  return { ...task, metadata, status: waiting(task, 'ProviderBusy', NOW) };
}
