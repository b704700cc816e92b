/**
 * Loaded into one of our processes before everything else (`NODE_OPTIONS=--import=…`, see `countAllocation`): counts the
 * bytes that its JavaScript heap handed out. V8 keeps no such sum, but between two collections the heap grows by just
 * that, so the growths are added up. On SIGUSR2 the sum so far becomes a line of the file in `ALLOCATION_FILE`.
 */
import { appendFileSync } from 'node:fs';
import { GCProfiler, getHeapStatistics } from 'node:v8';

const file = process.env['ALLOCATION_FILE'];
if (file !== undefined) {
  let profiler = started();
  let allocated = 0;
  let afterLast = getHeapStatistics().used_heap_size;
  process.on('SIGUSR2', () => {
    const { statistics } = profiler.stop();
    profiler = started();
    for (const { beforeGC, afterGC } of statistics) {
      allocated += beforeGC.heapStatistics.usedHeapSize - afterLast;
      afterLast = afterGC.heapStatistics.usedHeapSize;
    }
    const now = getHeapStatistics().used_heap_size;
    allocated += now - afterLast;
    afterLast = now;
    appendFileSync(file, `${allocated}\n`);
  });
}

function started(): GCProfiler {
  const profiler = new GCProfiler();
  profiler.start();
  return profiler;
}
