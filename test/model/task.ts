/** The task that the model is about. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { aTask } from '../support/builders.ts';
import type { Configuration } from './configurations.ts';
import { DEADLINE_SECONDS } from './time.ts';

export function newTask(configuration: Configuration, uid: number): CaptchaTask {
  const { backoffLimit, secret, pingback = true } = configuration;
  const task = aTask()
    .uid(`uid-${uid}`)
    .spec({
      backoffLimit,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      delivery: pingback ? 'Callback' : 'Poll',
      ...(secret === undefined ? {} : { solutionSecretName: 'solution' }),
    })
    .build();
  return { ...task, metadata: { ...task.metadata, resourceVersion: '~v9' } };
}
