/**
 * A leader that is killed at every point between two requests of the journal's protocol: real processes, a real API
 * server, and the provider's books. Each row is a cell of its own, whose leaders follow each other; the rows run beside
 * each other, the points of a row in turn. `npm run torture -- points` runs them longer.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { access, admin } from '../support/cluster.ts';
import { type Cell, openCell } from '../torture/cell.ts';
import { type Ground, openGround } from '../torture/ground.ts';
import { ROWS } from '../torture/points/index.ts';

const IN_TURN = { concurrent: false };
let shared: Ground;

beforeAll(async () => {
  shared = await openGround({ admin, ...access });
});
afterAll(async () => {
  await shared?.stop();
});

describe('nothing is paid twice beyond what is counted, nothing is stuck, the journal is empty', () => {
  for (const [name, row] of Object.entries(ROWS)) {
    describe.concurrent(name, () => {
      let ground: Ground;
      let cell: Cell;
      beforeAll(async () => {
        // The sidecar of its row is killed.
        ground = name === 'sidecar' ? await openGround({ admin, ...access }) : shared;
        cell = await openCell(ground, `${name}-${randomBytes(3).toString('hex')}`);
      });
      afterAll(async () => {
        await cell?.stop();
        if (ground !== shared) await ground?.stop();
      });
      for (const point of row) test(point.name, IN_TURN, () => point.run(cell));
      test('and all of them have come to their end', IN_TURN, async () => {
        expect(await cell.judge()).toEqual([]);
      });
    });
  }
});
