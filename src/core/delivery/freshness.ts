/**
 * The two bounds of a result's life (contract, section 3). Its clock starts when the captcha is solved, which nobody
 * tells us: it certainly works until its lifetime is over counted from the last time it was not solved yet, and
 * certainly no longer than that counted from its receipt. Whole seconds, rounded down. Decides nothing by them.
 */
import type { CaptchaTask, Solution } from '../../api/captchatask.ts';
import type { Millis } from '../task/times.ts';
import type { ReceivedResult } from './types.ts';
import { lifetimeSeconds } from '../solution.ts';
import { formatTime, parseTime } from '../task/times.ts';

/** As status has them; both absent where the type has no known lifetime. */
export function lifeOf(
  task: CaptchaTask,
  result: Pick<ReceivedResult, 'attempt' | 'receivedTime' | 'unsolvedTime'>,
): Pick<Solution, 'freshUntilTime' | 'expiresTime'> {
  const { attempt, receivedTime, unsolvedTime = -Infinity } = result;
  const lifetime = lifetimeSeconds(task.spec.captcha.type);
  if (lifetime === undefined) return {};
  // Clocks of several processes meet here: what was received had been solved.
  const from = Math.min(Math.max(unsolvedByTask(task, attempt), unsolvedTime), receivedTime);
  return {
    freshUntilTime: formatTime(from + lifetime * 1_000),
    expiresTime: formatTime(receivedTime + lifetime * 1_000),
  };
}

/** A time at which, as the task itself tells, this attempt's captcha was certainly not solved. */
function unsolvedByTask({ metadata, status }: CaptchaTask, attempt: number): Millis {
  const submission = status?.submission?.attempt === attempt ? status.submission : undefined;
  const { submittedTime, intentTime } = submission ?? {};
  return parseTime(submittedTime ?? intentTime) ?? parseTime(metadata.creationTimestamp) ?? 0;
}
