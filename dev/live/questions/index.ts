/** All questions, in the order in which they are asked: free ones first, then by the worth of their answers. */
import type { Question } from '../question.ts';
import { ANSWERS } from './answers.ts';
import { CALLBACKS, READING } from './callbacks.ts';
import { FREE } from './free.ts';
import { LIMITS } from './limits.ts';

const all = [...CALLBACKS, ...ANSWERS, ...LIMITS, READING].toSorted((a, b) => a.step - b.step);

export const QUESTIONS: readonly Question[] = [...FREE, ...all];
