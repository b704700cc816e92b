/**
 * How many tasks a namespace may have open at once, and who waits for room: first come, first served. A place is taken
 * before the task is created and kept until the watch counts it, so that a burst does not overshoot the bound. Each
 * replica keeps it by its own count; several may overshoot by what they create in the same instant.
 */
import { pause } from '../kube/pause.ts';
import { createLine, type Line } from '../waiting/line.ts';

export interface Rooms {
  /** A place, at once where there is one; undefined where the signal aborted before. Give it back by calling it. */
  enter(namespace: string, signal: AbortSignal): Promise<(() => void) | undefined>;
  /** There may be room in this namespace. */
  recheck(namespace: string): void;
}

interface Room {
  /** Places taken by tasks that are not counted yet. */
  taken: number;
  line: Line<{ admit: (() => void) | undefined }>;
  waiting: number;
}

/** `openIn`: the tasks that are counted. `waitAtMostMs` bounds every wait, whatever the signal does. */
export function createRooms(options: { max: number; openIn(namespace: string): number; waitAtMostMs: number }): Rooms {
  const rooms = new Map<string, Room>();
  const roomOf = (namespace: string): Room => {
    const room = rooms.get(namespace) ?? { taken: 0, line: createLine(), waiting: 0 };
    rooms.set(namespace, room);
    return room;
  };
  const isFull = (namespace: string, room: Room): boolean => options.openIn(namespace) + room.taken >= options.max;
  const recheck = (namespace: string): void => {
    const room = rooms.get(namespace);
    if (room === undefined) return;
    while (room.waiting > 0 && !isFull(namespace, room)) room.line.take()?.admit?.();
    if (room.taken === 0 && room.waiting === 0) rooms.delete(namespace);
  };
  const placeIn = (namespace: string, room: Room): (() => void) => {
    room.taken++;
    return () => {
      room.taken--;
      recheck(namespace);
    };
  };
  return {
    recheck,
    async enter(namespace, signal) {
      const room = roomOf(namespace);
      if (room.waiting === 0 && !isFull(namespace, room)) return placeIn(namespace, room);
      const admitted = new AbortController();
      let place: (() => void) | undefined;
      const waiter: { admit: (() => void) | undefined } = {
        admit() {
          waiter.admit = undefined;
          room.waiting--;
          place = placeIn(namespace, room);
          admitted.abort();
        },
      };
      room.line.push(waiter);
      room.waiting++;
      await pause(options.waitAtMostMs, AbortSignal.any([signal, admitted.signal]));
      if (place === undefined) {
        waiter.admit = undefined;
        room.waiting--;
        recheck(namespace);
      }
      return place;
    },
  };
}
