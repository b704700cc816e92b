/**
 * A binary min-heap: the oldest waiting task of a lane, the next task whose time to live ends. Plain data structure,
 * no clock; `less` decides the order and must not change for an item that is inside.
 */

export interface Heap<T> {
  readonly size: number;
  push(item: T): void;
  peek(): T | undefined;
  pop(): T | undefined;
  clear(): void;
}

export function createHeap<T>(less: (left: T, right: T) => boolean): Heap<T> {
  const items: T[] = [];

  function swap(left: number, right: number): void {
    [items[left], items[right]] = [items[right] as T, items[left] as T];
  }

  function rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!less(items[at] as T, items[parent] as T)) return;
      swap(at, parent);
      at = parent;
    }
  }

  function sink(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < items.length && less(items[left] as T, items[least] as T)) least = left;
      if (right < items.length && less(items[right] as T, items[least] as T)) least = right;
      if (least === at) return;
      swap(at, least);
      at = least;
    }
  }

  return {
    get size() {
      return items.length;
    },
    push(item) {
      items.push(item);
      rise(items.length - 1);
    },
    peek: () => items[0],
    pop() {
      if (items.length === 0) return undefined;
      swap(0, items.length - 1);
      const least = items.pop();
      sink();
      return least;
    },
    clear() {
      items.length = 0;
    },
  };
}
