/**
 * Shipped files that only one other file imports, and why they are files all the same. `importers.ts` checks the list
 * both ways: a lonely file without an entry fails, and so does an entry that is not needed. Keep it short; the usual
 * answer to a failure is to fold the file into its importer.
 */
import type { OneImporter } from './importers.ts';

export const ONE_IMPORTER: OneImporter = {
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
  ],
  'a pure rule with its own test': [
    'callback/backlog',

    'controllers/deadletter/turns',
    'core/deadletter/names',
    'core/deadletter/retry',
    'provider/encode',
    'provider/wire',
  ],
  'a subject of its own': [
    'bin/callback/main',
    'bin/operator/main',
    'callback/listener',
    'callback/report',
    'ops/lifecycle',
    'callback/server',
    'callback/warm-up',

    // Which request may be sent again, and when.
    'kube/sender',
    // The paid calls, and what is asked again in the instant of each.
    'controllers/task/calls',
    // The roles that every controller has.
    'controllers/deadletter/gather',
    // A room whose door re-exports it, and the parts of a table that is too long for one file.
    'client/wait',
    'ops/metrics/table',
    'ops/metrics/callback-rows',
    'ops/metrics/process-rows',
    'ops/metrics/task-rows',
    'provider/answer',
    'core/task/pool',
  ],
  'not folded yet': [
    'controllers/task/assemble',
    'controllers/task/index',
    'controllers/task/intents',
    'controllers/task/leading',
    'controllers/task/meters',
    'controllers/task/perform',
    'controllers/task/results',
    'controllers/task/sources',
  ],
};
