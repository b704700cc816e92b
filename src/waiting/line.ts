/**
 * A line (queue): first come, first served. Taking from the front moves nothing; the array is cut now and then, so that
 * a line that is never empty does not keep everybody who ever stood in it.
 */

export interface Line<T> {
  readonly size: number;
  push(item: T): void;
  /** Takes the first; undefined where the line is empty. */
  take(): T | undefined;
  clear(): void;
}

/** Fewer items than this are not worth moving. */
const CUT_FROM = 1_024;

export function createLine<T>(): Line<T> {
  let items: T[] = [];
  /** Where the line begins; what stands before it was taken. */
  let head = 0;

  const cut = (): void => {
    items = items.slice(head);
    head = 0;
  };
  return {
    get size() {
      return items.length - head;
    },
    push: (item) => void items.push(item),
    take() {
      if (head === items.length) return undefined;
      const first = items[head++];
      if (head === items.length || (head > CUT_FROM && head * 2 > items.length)) cut();
      return first;
    },
    clear() {
      items = [];
      head = 0;
    },
  };
}
