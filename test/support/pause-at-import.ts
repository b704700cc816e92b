/**
 * Preloaded (`--import`) into a process under test: stops it while it loads the file that `PAUSE_AT` names, says
 * `paused` on stderr, and goes on when a byte comes on stdin. So a test knows how far a start has come.
 */
import { readSync, writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

registerHooks({
  load(url, context, nextLoad) {
    if (url.endsWith(process.env['PAUSE_AT'] ?? '\n')) {
      writeSync(2, 'paused\n');
      readSync(0, Buffer.alloc(1));
    }
    return nextLoad(url, context);
  },
});
