/**
 * Cuts a stream of bytes into lines of text. A newline byte never occurs inside a UTF-8 sequence, so cutting the bytes
 * first and decoding whole lines afterwards is safe at any chunk boundary. Refuses lines beyond a limit, so that a
 * server that never ends a line cannot fill the memory. Called by `client.ts` for watches.
 */

export interface LineSplitter {
  /** @throws RangeError when a line is longer than the limit */
  push(chunk: Buffer): void;
  /** Bytes after the last newline; a clean end leaves none. */
  pending(): number;
}

const NEWLINE = 0x0a;

export function createLineSplitter(limitBytes: number, onLine: (line: string) => void): LineSplitter {
  let pieces: Buffer[] = [];
  let pendingBytes = 0;

  const finish = (last: Buffer): string => {
    if (pieces.length === 0) return last.toString('utf8');
    pieces.push(last);
    const line = Buffer.concat(pieces).toString('utf8');
    pieces = [];
    pendingBytes = 0;
    return line;
  };

  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(NEWLINE, start);
        if (end < 0) break;
        const line = finish(chunk.subarray(start, end));
        start = end + 1;
        if (line !== '') onLine(line);
      }
      if (start >= chunk.length) return;
      pieces.push(start === 0 ? chunk : chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > limitBytes) throw new RangeError(`a line is longer than ${limitBytes} bytes`);
    },
    pending: () => pendingBytes,
  };
}
