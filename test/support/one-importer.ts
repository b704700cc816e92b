/**
 * Shipped files that only one other file imports, and why they are files all the same. `importers.ts` checks the list
 * both ways: a lonely file without an entry fails, and so does an entry that is not needed. Keep it short; the usual
 * answer to a failure is to fold the file into its importer.
 */
import type { OneImporter } from './importers.ts';

export const ONE_IMPORTER: OneImporter = {
  'the start of a process': [
    'bin/callback/main',
    'bin/gateway/main',
    'bin/operator/main',
    'callback/server',
    'gateway/server',
  ],
  'a role that every controller has': ['controllers/deadletter/gather', 'controllers/deadletter/perform'],
  'a stage of a request': [
    'callback/middleware/authenticate',
    'callback/middleware/limit-head',
    'callback/middleware/limit-in-flight',
    'callback/middleware/observe',
    'callback/middleware/read-body',
    'callback/middleware/receive',
    'callback/middleware/refuse-pipelined',
    'callback/middleware/route',
    'callback/middleware/serve-root-files',
    'callback/middleware/shield',
    'gateway/middleware/authenticate',
    'gateway/middleware/limit-in-flight',
    'gateway/middleware/limit-namespace',
    'gateway/middleware/observe',
    'gateway/middleware/read-fields',
    'gateway/middleware/result',
    'gateway/middleware/route',
    'gateway/middleware/shield',
    'gateway/middleware/submit',
  ],
  'a part of a long table': [
    'ops/metrics/callback-rows',
    'ops/metrics/gateway-rows',
    'ops/metrics/process-rows',
    'ops/metrics/table',
    'ops/metrics/task-rows',
  ],
  'a pure rule with its own test': [
    'callback/backlog',
    'controllers/deadletter/turns',
    'core/deadletter/names',
    'core/deadletter/steps',
    'core/journal/late',
    'core/task/time-to-live',
    'provider/encode',
    'provider/wire',
  ],
  'a subject of its own': [
    // An upload, piece by piece.
    'gateway/multipart',
    // What the sidecar tells people: counters and log lines.
    'callback/report',
    // Trying out disk and API before the first callback comes.
    'callback/warm-up',
    // All that talks to the provider; what is done at the Kubernetes API is elsewhere.
    'controllers/task/calls',
    // The threads of one account, and what `threadsinfo` proves; tested through the lane.
    'core/task/pool',
    // Which request may be sent again, and when.
    'kube/sender',
    // A command of `kubectl captcha` each, and how its line is read.
    'cli/completion',
    'cli/redrive',
    'cli/solve',
    // What the doctor reads, and what it finds in each part of that; tested through its door.
    'cli/doctor/index',
    'cli/doctor/means',
    'cli/doctor/objects',
    'cli/doctor/read',
    'cli/doctor/rights',
    'cli/doctor/work',
    // The two shapes of a reply, JSON and plain text; tested through `wire`.
    'provider/answer',
    // Which line of which source a stack means; tested with a bundle of its own.
    'ops/stack',
    // How a process ends: signals, the order of stopping, exit codes.
    'ops/lifecycle',
  ],
};
