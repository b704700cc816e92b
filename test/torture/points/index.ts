/** Every crash point, in rows that run beside each other. */
import { CHANGED } from './changed.ts';
import { HANDS } from './journal-hands.ts';
import { IDS } from './ids.ts';
import { LATE, PAUSED } from './paused.ts';
import type { Row } from './point.ts';
import { SIDECAR } from './sidecar.ts';
import { STOP } from './stop.ts';
import { SUBMISSION } from './submission.ts';
import { TAKE_OVER } from './take-over.ts';

export const ROWS: Readonly<Record<string, Row>> = {
  'take-over': TAKE_OVER,
  submission: SUBMISSION,
  ids: IDS,
  stop: STOP,
  paused: PAUSED,
  late: LATE,
  sidecar: SIDECAR,
  changed: CHANGED,
  hands: HANDS,
};
