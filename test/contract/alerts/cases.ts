/**
 * When each alert must fire and when it must not, as time series for `promtool test rules`: one sample a minute, in
 * promtool's notation (`0+1x60` is 0, 1, 2, … for an hour; after `stale` the target is gone). Run by ../alerts.test.ts.
 */

export interface AlertCase {
  alert: string;
  /** Completes "fires when …" or "is silent when …". */
  when: string;
  /** How many alerts of this name fire at `at`. */
  firing: number;
  at: string;
  series: Record<string, string>;
}

type Case = Omit<AlertCase, 'alert'>;
const P = 'captcha_operator_';
const fires = (when: string, at: string, series: Record<string, string>, firing = 1): Case => ({
  when,
  firing,
  at,
  series: prefixed(series),
});
const silent = (when: string, at: string, series: Record<string, string>): Case => fires(when, at, series, 0);

/** Names without a prefix are ours. */
function prefixed(series: Record<string, string>): Record<string, string> {
  const entries = Object.entries(series).map(([name, values]): [string, string] => [
    /^(leader_election|rest_client)/.test(name) ? name : P + name,
    values,
  ]);
  return Object.fromEntries(entries);
}

const OPERATOR = 'build_info{process="operator"}';
const SIDECAR = 'build_info{process="callback"}';
const SOLVED_BY_POLL = 'poll_fallbacks_total{result="solved"}';
const BUSY = 'provider_breaker_open{reason="busy",instance="a"}';

const threads = (key: number, state: string): string => `provider_threads{key="${key}",state="${state}",instance="a"}`;

const CASES: Record<string, Case[]> = {
  CaptchaOperatorAbsent: [
    fires('no operator was scraped for 5 minutes', '20m', { [OPERATOR]: '1x10 stale _x30' }),
    fires('only sidecars run', '6m', { [SIDECAR]: '1x30' }),
    silent('a rollout replaces the pod', '15m', { [OPERATOR]: '1x10 stale _ 1x20' }),
  ],
  CaptchaCallbackReceiverAbsent: [
    fires('no sidecar was scraped for 5 minutes', '20m', { [OPERATOR]: '1x30', [SIDECAR]: '1x10 stale _x30' }),
    silent('one of three sidecars is left', '20m', { 'build_info{process="callback",instance="c"}': '1x30' }),
  ],
  CaptchaOperatorNoLeader: [
    fires('two replicas run and none leads', '5m', {
      'leader_election_master_status{name="captcha-operator",instance="a"}': '0x10',
      'leader_election_master_status{name="captcha-operator",instance="b"}': '0x10',
    }),
    silent('the leader changes', '12m', {
      'leader_election_master_status{name="captcha-operator",instance="a"}': '1x10 0x10',
      'leader_election_master_status{name="captcha-operator",instance="b"}': '0x11 1x10',
    }),
    silent("another operator's election has no leader", '10m', {
      'leader_election_master_status{name="something-else"}': '0x20',
      'leader_election_master_status{name="captcha-operator"}': '1x20',
    }),
  ],
  CaptchaOperatorWatchStalled: [
    fires('one watch of one replica is silent for 5 minutes', '8m', {
      'watch_last_activity_timestamp_seconds{resource="captchatasks",instance="a"}': '60 120 120x20',
      'watch_last_activity_timestamp_seconds{resource="deadletters",instance="a"}': '60+60x20',
    }),
    silent('bookmarks come every minute', '20m', {
      'watch_last_activity_timestamp_seconds{resource="captchatasks",instance="a"}': '0+60x30',
    }),
  ],
  CaptchaOperatorWatchRefused: [
    fires('a namespace cannot be watched for 10 minutes', '20m', {
      'watches_refused{resource="captchatasks",instance="a"}': '0x5 1x20',
      'watches_refused{resource="captchatasks",instance="b"}': '0x5 1x20',
      'watches_refused{resource="deadletters",instance="a"}': '0x25',
    }),
    silent('rights come a minute after the namespace', '20m', {
      'watches_refused{resource="captchatasks",instance="a"}': '0x5 1x1 0x20',
    }),
  ],
  CaptchaTasksStuck: [
    fires('a task is older than half an hour for 10 minutes', '45m', {
      'task_oldest_age_seconds{phase="Submitted",instance="a"}': '0+60x60',
      'task_oldest_age_seconds{phase="Pending",instance="a"}': '0x60',
    }),
    silent('tasks end at the default deadline', '60m', {
      'task_oldest_age_seconds{phase="Submitted",instance="a"}': '0+60x10 0+60x10 0+60x10 0+60x10 0+60x10 0+60x10',
    }),
  ],
  CaptchaForeignSubmissions: [
    fires('another installation submits one task', '30m', { foreign_submissions_total: '0x20 1x20' }),
    silent('none was seen for half an hour', '60m', { foreign_submissions_total: '0x20 1x60' }),
    silent('the leader changes', '30m', {
      'foreign_submissions_total{instance="a"}': '1x20 stale',
      'foreign_submissions_total{instance="b"}': '0x40',
    }),
  ],
  CaptchaAmbiguousSubmissions: [
    fires('several submissions an hour are resubmitted', '60m', {
      'ambiguous_submissions_total{resolution="resubmitted"}': '0x20 0+1x5 5x40',
    }),
    silent('a callback adopts them', '60m', { 'ambiguous_submissions_total{resolution="adopted"}': '0+1x60' }),
    silent('a crash leaves one or two', '60m', {
      'ambiguous_submissions_total{resolution="resubmitted"}': '0x20 2x60',
    }),
  ],
  CaptchaTasksFailing: [
    fires('a site has rotated its key, and every task of it is refused', '50m', {
      'failures_total{class="Permanent"}': '0+1x60',
      'results_total{source="Callback"}': '0x60',
    }),
    fires('a third of the tasks run into their deadline', '50m', {
      'failures_total{class="Deadline"}': '0+1x60',
      'failures_total{class="Permanent"}': '0x60',
      'results_total{source="Callback"}': '0+1x60',
      'results_total{source="Poll"}': '0+1x60',
    }),
    silent('a tenth of them fails', '50m', {
      'failures_total{class="Retriable"}': '0+1x60',
      'results_total{source="Callback"}': '0+9x60',
    }),
    silent('the only three of half an hour did', '50m', {
      'failures_total{class="Permanent"}': '0x30 0 1 2 3x30',
      'results_total{source="Callback"}': '0x60',
    }),
  ],
  CaptchaResultsStale: [
    fires('a third of the results come too late', '50m', {
      'stale_results_total{type="RecaptchaV3"}': '0+0.5x60',
      'stale_results_total{type="Turnstile"}': '0x60',
      'results_total{source="Poll"}': '0+1x60',
      'results_total{source="Callback"}': '0+0.5x60',
    }),
    silent('one in a hundred does', '50m', {
      'stale_results_total{type="RecaptchaV2"}': '0+0.2x60',
      'results_total{source="Callback"}': '0+20x60',
    }),
    silent('a single one did', '50m', {
      'stale_results_total{type="RecaptchaV2"}': '0x30 1x30',
      'results_total{source="Poll"}': '0x30 1x30',
    }),
  ],
  CaptchaStatusChurn: [
    fires('status is written and no task moves', '40m', {
      'status_writes_total{controller="captchatask",result="written"}': '0+60x60',
      tasks_started_total: '5x60',
      'results_total{source="Callback"}': '5x60',
      'failures_total{class="Permanent"}': '0x60',
    }),
    fires('two operators overwrite each other', '40m', {
      'status_writes_total{controller="captchatask",result="conflict"}': '0+600x60',
      tasks_started_total: '0+6x60',
      'results_total{source="Callback"}': '0+6x60',
      'failures_total{class="Permanent"}': '0x60',
    }),
    silent('a thousand tasks a minute take three writes each', '40m', {
      'status_writes_total{controller="captchatask",result="written"}': '0+2000x60',
      'status_writes_total{controller="callback",result="written"}': '0+1000x60',
      tasks_started_total: '0+1000x60',
      'results_total{source="Callback"}': '0+1000x60',
      'failures_total{class="Permanent"}': '0x60',
    }),
    silent('nothing happens', '40m', {
      'status_writes_total{controller="captchatask",result="written"}': '10x60',
      tasks_started_total: '5x60',
      'results_total{source="Callback"}': '5x60',
      'failures_total{class="Permanent"}': '0x60',
    }),
  ],
  CaptchaCallbacksSilent: [
    fires('polls find results and no callback comes', '45m', {
      [SOLVED_BY_POLL]: '0+1x60',
      'callbacks_total{result="accepted"}': '7x60',
    }),
    fires('there is no sidecar at all', '45m', { [SOLVED_BY_POLL]: '0+1x60' }),
    fires('every callback is refused, because the keys differ', '45m', {
      [SOLVED_BY_POLL]: '0+1x60',
      'callbacks_total{result="accepted"}': '7x60',
      'callbacks_total{result="unauthorized"}': '0+1x60',
    }),
    silent('callbacks come, and some are lost', '45m', {
      [SOLVED_BY_POLL]: '0+1x60',
      'callbacks_total{result="accepted"}': '0x20 1x60',
    }),
    silent('callbacks come late, after the poll', '45m', {
      [SOLVED_BY_POLL]: '0+1x60',
      'callbacks_total{result="late"}': '0+1x60',
    }),
    silent('nothing is submitted', '45m', { [SOLVED_BY_POLL]: '7x60', 'callbacks_total{result="accepted"}': '7x60' }),
    silent('a single callback was lost on a quiet day', '45m', {
      [SOLVED_BY_POLL]: '0x20 1x60',
      'callbacks_total{result="accepted"}': '7x60',
    }),
  ],
  CaptchaCallbackKeySilent: [
    fires('the leader has found a key without callbacks', '10m', {
      'callback_silent_keys{instance="a"}': '0 1x30',
      'callback_silent_keys{instance="b"}': '0x30',
    }),
    silent('callbacks come again after three minutes', '20m', { 'callback_silent_keys{instance="a"}': '0 1x3 0x30' }),
  ],
  CaptchaCallbackRefused: [
    fires('submissions of a key go without a callback URL', '5m', {
      'callback_refused_keys{instance="a"}': '0 1x30',
      'callback_refused_keys{instance="b"}': '0x30',
    }),
    silent('no key is refused', '20m', { 'callback_refused_keys{instance="a"}': '0x30' }),
  ],
  CaptchaCallbackLost: [
    fires('one callback was answered 503', '12m', { 'callbacks_total{result="lost"}': '0x10 1x20' }),
    silent('that was long ago', '40m', { 'callbacks_total{result="lost"}': '0x10 1x60' }),
    silent('callbacks are answered too late, and taken', '20m', {
      callback_late_answers_total: '0+5x60',
      'callbacks_total{result="spooled"}': '0+5x60',
      'callbacks_total{result="lost"}': '0x60',
    }),
    silent('callbacks are spooled', '20m', {
      'callbacks_total{result="spooled"}': '0+5x60',
      'callbacks_total{result="lost"}': '0x60',
    }),
  ],
  CaptchaCallbackKeysReloadFailed: [
    fires('a replica cannot load the keys', '5m', { 'callback_keys_reload_failed{instance="a"}': '0 1x20' }),
    silent('the fault is mended at once', '5m', { 'callback_keys_reload_failed{instance="a"}': '0x3 1 0x20' }),
  ],
  CaptchaSpoolNotDraining: [
    fires('a callback waits for more than 5 minutes', '15m', {
      'spool_oldest_age_seconds{instance="a"}': '0+60x30',
      'spool_oldest_age_seconds{instance="b"}': '0x30',
    }),
    silent('an outage of 4 minutes is drained', '15m', {
      'spool_oldest_age_seconds{instance="a"}': '0+60x4 0x30',
    }),
  ],
  CaptchaSpoolNearBound: [
    fires('more than four fifths are used', '5m', {
      'spool_bytes{instance="a"}': '90x10',
      'spool_capacity_bytes{instance="a"}': '100x10',
      'spool_bytes{instance="b"}': '10x10',
      'spool_capacity_bytes{instance="b"}': '100x10',
    }),
    fires('more than four fifths of the records are used', '5m', {
      'spool_bytes{instance="a"}': '10x10',
      'spool_capacity_bytes{instance="a"}': '100x10',
      'spool_records{instance="a"}': '90x10',
      'spool_capacity_records{instance="a"}': '100x10',
    }),
    silent('half of it is used', '5m', {
      'spool_bytes{instance="a"}': '50x10',
      'spool_capacity_bytes{instance="a"}': '100x10',
    }),
  ],
  CaptchaSpoolUnavailable: [
    fires('a sidecar has no spool from its start on', '5m', { 'spool_open{instance="a"}': '0x20' }),
    silent('it has one after a minute', '5m', { 'spool_open{instance="a"}': '0x1 1x20' }),
    silent('every sidecar has one', '5m', { 'spool_open{instance="a"}': '1x20', 'spool_open{instance="b"}': '1x20' }),
  ],
  CaptchaSpoolFault: [
    fires('the first scrape of a new process shows one', '12m', {
      'spool_faults_total{fault="io_error",instance="b"}': '_x8 1x20',
      'spool_faults_total{fault="io_error",instance="a"}': '0x30',
    }),
    silent('a process that has run for long had one at its start', '40m', {
      'spool_faults_total{fault="io_error",instance="b"}': '_x2 1x60',
    }),
    fires('a record is damaged', '12m', {
      'spool_faults_total{fault="damaged"}': '0x10 1x20',
      'spool_faults_total{fault="full"}': '0x30',
    }),
    silent('there is none', '20m', { 'spool_faults_total{fault="damaged"}': '3x30' }),
  ],
  CaptchaDeadLetterOpen: [
    fires('a letter is open for 5 minutes', '12m', {
      'dead_letters{phase="Pending",stage="WriteSecret",instance="a"}': '0x5 1x20',
      'dead_letters{phase="Pending",stage="ApplyPoll",instance="a"}': '0x25',
    }),
    silent('two replicas report a letter that is soon resolved', '12m', {
      'dead_letters{phase="Pending",stage="WriteSecret",instance="a"}': '0x5 1x3 0x20',
      'dead_letters{phase="Pending",stage="WriteSecret",instance="b"}': '0x5 1x3 0x20',
    }),
    silent('letters are finished', '12m', {
      'dead_letters{phase="Resolved",stage="WriteSecret",instance="a"}': '7x25',
      'dead_letters{phase="Superseded",stage="WriteSecret",instance="a"}': '7x25',
    }),
  ],
  CaptchaDeadLettersGrowing: [
    fires('more and more letters are open', '40m', {
      'dead_letters{phase="Pending",stage="ApplyCallback",instance="a"}': '0+1x60',
      'dead_letters{phase="Pending",stage="ApplyCallback",instance="b"}': '0+1x60',
    }),
    silent('two replicas report the same few', '20m', {
      'dead_letters{phase="Pending",stage="ApplyCallback",instance="a"}': '0x10 4x60',
      'dead_letters{phase="Pending",stage="ApplyCallback",instance="b"}': '0x10 4x60',
    }),
    silent('many are open but get fewer', '40m', {
      'dead_letters{phase="Pending",stage="ApplyCallback",instance="a"}': '90-1x60',
    }),
  ],
  CaptchaDeadLetterAbandoned: [
    fires('a letter is abandoned', '2m', {
      'dead_letters{phase="Abandoned",stage="ApplyCallback",instance="a"}': '0 1x10',
    }),
    silent('it was redriven', '5m', {
      'dead_letters{phase="Abandoned",stage="ApplyCallback",instance="a"}': '1x3 0x10',
    }),
  ],
  CaptchaProviderErrors: [
    fires('a third of the calls time out', '25m', {
      'provider_requests_total{operation="submit",code="ok"}': '0+20x60',
      'provider_requests_total{operation="submit",code="timeout"}': '0+5x60',
      'provider_requests_total{operation="poll",code="http_5xx"}': '0+5x60',
    }),
    silent('the provider answers with its own words', '25m', {
      'provider_requests_total{operation="submit",code="ok"}': '0+1x60',
      'provider_requests_total{operation="poll",code="pending"}': '0+20x60',
      'provider_requests_total{operation="submit",code="ERROR_NO_SLOT_AVAILABLE"}': '0+20x60',
      'provider_requests_total{operation="poll",code="http_429"}': '0+1x60',
    }),
    silent('no calls are made', '25m', {
      'provider_requests_total{operation="submit",code="ok"}': '5x60',
      'provider_requests_total{operation="submit",code="timeout"}': '5x60',
    }),
  ],
  CaptchaProviderBusy: [
    fires('a key backs off for a quarter of an hour', '30m', { [BUSY]: '0x5 1x2 0 1x2 0 1x3 0x2 1x40' }),
    silent('it backs off for a moment', '30m', { [BUSY]: '0x5 1x5 0x40' }),
  ],
  CaptchaProviderThreadsSaturated: [
    fires('the threads of one of two accounts are all at work, for whomever', '40m', {
      [threads(1, 'total')]: '10x60',
      [threads(1, 'working')]: '9 10 10 9 10x60',
      [threads(1, 'ours')]: '2x60',
      [threads(2, 'total')]: '50x60',
      [threads(2, 'working')]: '10x60',
      [threads(2, 'ours')]: '10x60',
    }),
    fires('our tasks wait for threads, and nobody says who works', '40m', {
      [threads(1, 'total')]: '10x60',
      [threads(1, 'ours')]: '10x60',
    }),
    silent('they are all at work for some minutes', '40m', {
      [threads(1, 'total')]: '10x60',
      [threads(1, 'working')]: '2x20 10x8 3x60',
      [threads(1, 'ours')]: '2x20 10x8 3x60',
    }),
    silent('nobody knows how many there are', '40m', { [threads(1, 'ours')]: '100x60' }),
  ],
  CaptchaProviderAccountExhausted: [
    fires('the plan of an account has ended', '5m', {
      'provider_breaker_open{reason="account_exhausted",instance="a"}': '0 1x20',
    }),
    silent('the provider is only busy', '20m', {
      [BUSY]: '1x30',
      'provider_breaker_open{reason="account_exhausted",instance="a"}': '0x30',
    }),
  ],
  CaptchaProviderKeyRejected: [
    fires('a key is rejected', '5m', {
      'provider_breaker_open{reason="key_rejected",instance="a"}': '0 1x20',
      'provider_breaker_open{reason="address_not_allowed",instance="a"}': '0x20',
    }),
    silent('the provider is only busy', '20m', {
      [BUSY]: '1x30',
      'provider_breaker_open{reason="key_rejected",instance="a"}': '0x30',
    }),
  ],
  CaptchaProviderAddressBlocked: [
    fires('the address is banned', '2m', { 'provider_breaker_open{reason="address_blocked",instance="a"}': '0 1x9' }),
    silent('one key is rejected', '5m', {
      'provider_breaker_open{reason="address_blocked",instance="a"}': '0x9',
      'provider_breaker_open{reason="key_rejected",instance="a"}': '1x9',
    }),
  ],
  CaptchaGatewayRefusing: [
    fires('a namespace stays full', '30m', {
      'gateway_requests_total{endpoint="submit",result="no_slot",instance="a"}': '0+1x40',
    }),
    silent('an outage of a minute refuses two', '30m', {
      'gateway_requests_total{endpoint="submit",result="no_slot",instance="a"}': '0x9 2x40',
    }),
  ],
  CaptchaGatewayKeysReloadFailed: [
    fires('a replica cannot load the keys', '5m', { 'gateway_keys_reload_failed{instance="a"}': '0 1x20' }),
    silent('the fault is mended at once', '5m', { 'gateway_keys_reload_failed{instance="a"}': '0x3 1 0x20' }),
  ],
  CaptchaGatewayCertificate: [
    fires('a new pair cannot be loaded', '15m', {
      'gateway_certificate_reload_failed{instance="a"}': '0 1x20',
      'gateway_certificate_expiry_timestamp_seconds{instance="a"}': '999999x20',
    }),
    fires('the certificate was not renewed in time', '15m', {
      'gateway_certificate_expiry_timestamp_seconds{instance="a"}': '80000x20',
    }),
    silent('it is good for two days', '15m', {
      'gateway_certificate_reload_failed{instance="a"}': '0x20',
      'gateway_certificate_expiry_timestamp_seconds{instance="a"}': '172800x20',
    }),
    silent('none was loaded at the start, and then one was', '15m', {
      'gateway_certificate_reload_failed{instance="a"}': '1 0x20',
      'gateway_certificate_expiry_timestamp_seconds{instance="a"}': '0 999999x20',
    }),
  ],
};

export const ALERT_CASES: readonly AlertCase[] = Object.entries(CASES).flatMap(([alert, cases]) =>
  cases.map((one) => ({ alert, ...one })),
);
