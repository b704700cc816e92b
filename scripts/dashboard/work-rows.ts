/** Rows of the dashboard about the work: tasks, callbacks, polling. */
import { P, RATE, largest, quantile, rate, series, stat } from './panel.ts';
import type { Panel } from './panel.ts';

export const WORK_ROWS: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'Overview',
    [
      stat('Unfinished tasks', 'short', `sum(${largest('phase, type', `${P}tasks`)})`, {
        description: 'Pending, Submitting and Submitted together.',
      }),
      stat('Oldest task', 's', `max(${P}task_oldest_age_seconds)`, {
        description: 'Since the oldest unfinished task was started. Suspended and dead-lettered tasks are left out.',
        redFrom: 1800,
      }),
      stat('Open dead letters', 'short', `sum(${largest('stage', `${P}dead_letters{phase="Pending"}`)})`, {
        description: 'Solved captchas that could not be delivered and are retried.',
        redFrom: 1,
      }),
      stat('Abandoned dead letters', 'short', `sum(${largest('stage', `${P}dead_letters{phase="Abandoned"}`)})`, {
        description: 'Given up; they can be redriven until their TTL ends.',
        redFrom: 1,
      }),
      stat('Callbacks lost', 'short', `sum(increase(${P}callbacks_total{result="lost"}[$__range]))`, {
        description: 'Answered 503 in the time shown, because nothing could take them.',
        redFrom: 1,
      }),
      stat('Leaders', 'short', 'sum(leader_election_master_status{name="captcha-operator"})', {
        description: 'Exactly one.',
      }),
      series(
        'Tasks by phase',
        'short',
        [['{{phase}}', `sum by (phase) (${largest('phase, type', `${P}tasks`)})`]],
        'Unfinished tasks.',
      ),
      series(
        'Results by source',
        'ops',
        [
          ['{{source}}', rate('source', `${P}results_total`)],
          ['failed', `sum(rate(${P}failures_total${RATE}))`],
        ],
        'Tasks per second that were solved, by where the result came from, and that failed.',
      ),
      series(
        'Oldest task by phase',
        's',
        [['{{phase}}', largest('phase', `${P}task_oldest_age_seconds`)]],
        'The default deadline is 600 s.',
      ),
      series(
        'Dead letters',
        'short',
        [['{{phase}} {{stage}}', largest('phase, stage', `${P}dead_letters`)]],
        'By phase and by the stage that failed.',
      ),
      series(
        'Time to a result',
        's',
        [
          ['median, {{source}}', quantile(0.5, 'source', `${P}task_duration_seconds`)],
          ['95 %, {{source}}', quantile(0.95, 'source', `${P}task_duration_seconds`)],
        ],
        'From start to end, by source; None are tasks that failed.',
      ),
      series(
        'Stale results',
        'ops',
        [['{{type}}', rate('type', `${P}stale_results_total`)]],
        'Received after their freshUntilTime: the site may not take them any more.',
      ),
      series(
        'Failures by class',
        'ops',
        [['{{class}}', rate('class', `${P}failures_total`)]],
        'Tasks that became Failed, by status.failure.class.',
      ),
    ],
  ],
  [
    'Callbacks',
    [
      series(
        'Callbacks by result',
        'ops',
        [
          ['{{result}}', rate('result', `${P}callbacks_total`)],
          ['connections dropped', `sum(rate(${P}callback_connections_dropped_total${RATE}))`],
        ],
        'accepted is normal; late and duplicate are harmless; unauthorized may be a wrong key, misrouted a proxy that rewrites the path; connections are dropped where somebody holds too many.',
      ),
      series(
        'Time to answer a callback',
        's',
        [
          ['median', quantile(0.5, '', `${P}callback_duration_seconds`)],
          ['99 %', quantile(0.99, '', `${P}callback_duration_seconds`)],
        ],
        'The answer is promised within 1 s.',
      ),
      series(
        'Spool',
        'short',
        [
          ['records, {{instance}}', `${P}spool_records`],
          ['open, {{instance}}', `${P}spool_open`],
        ],
        'Answered callbacks that wait on disk. Not open (0): nobody knows how many.',
      ),
      series(
        'Spool, share of its bound',
        'percentunit',
        [
          ['bytes, {{instance}}', `${P}spool_bytes / ${P}spool_capacity_bytes`],
          ['records, {{instance}}', `${P}spool_records / ${P}spool_capacity_records`],
        ],
        'At 100 % callbacks are answered 503.',
      ),
      series(
        'Oldest spooled callback',
        's',
        [['{{instance}}', `${P}spool_oldest_age_seconds`]],
        'Drops within minutes after the Kubernetes API has come back.',
      ),
      series(
        'Spool faults',
        'ops',
        [
          ['{{fault}}', rate('fault', `${P}spool_faults_total`)],
          ['answered too late', `sum(rate(${P}callback_late_answers_total[$__rate_interval]))`],
        ],
        'Faults are in the log, too. Answered too late: 503, and then taken all the same.',
      ),
      series(
        'Callback keys',
        'short',
        [
          ['loaded, {{instance}}', `${P}callback_keys`],
          ['reload failed, {{instance}}', `${P}callback_keys_reload_failed`],
        ],
        'In a rotation every replica has to report the new number before the old key goes.',
      ),
      series(
        'Dead letters: created and retried',
        'ops',
        [
          ['created {{stage}}', rate('stage', `${P}dead_letters_created_total`)],
          ['retry {{result}}', rate('result', `${P}dead_letter_retries_total`)],
          ['oldest open (s)', `max(${P}dead_letter_oldest_age_seconds)`],
        ],
        'Created by the stage that failed; retries by how they ended.',
      ),
    ],
  ],
  [
    'Polling',
    [
      series(
        'Fallback polls by answer',
        'ops',
        [['{{result}}', rate('result', `${P}poll_fallbacks_total`)]],
        'Polls of submissions whose callback did not come.',
      ),
      series(
        'Share of results found by polls',
        'percentunit',
        [['by poll', `sum(rate(${P}results_total{source="Poll"}${RATE})) / sum(rate(${P}results_total${RATE}))`]],
        'Near 100 % although a callback URL is set: nobody can reach it.',
      ),
    ],
  ],
];
