/** What people do: a task is deleted and created again, suspended and resumed; a Secret in the way is taken away. */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK, CONFIG_MAP, DEAD_LETTER, SECRET } from '../../src/api/names.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import type { Draft, Model } from './draft.ts';
import { type Handle, intern } from './intern.ts';
import { withoutObject } from './server.ts';
import type { State } from './state.ts';
import { newTask } from './task.ts';

export function peopleSteps({ configuration }: Model, state: State, drafts: Draft[]): void {
  if (configuration.recreates) recreateSteps(configuration, state, drafts);
  if (configuration.suspends) suspendSteps(state, drafts);
  if (configuration.secret === 'foreign') secretSteps(state, drafts);
  if (configuration.lettersDeleted) letterSteps(state, drafts);
  if (configuration.journal === 'deleted') journalSteps(state, drafts);
}

function recreateSteps(configuration: Model['configuration'], state: State, drafts: Draft[]): void {
  if (state.deeds >= 2) return;
  const deeds = state.deeds + 1;
  if (state.task !== undefined) {
    const next = { ...state, ...withoutObject(state, CAPTCHA_TASK.plural, ''), deeds };
    drafts.push({ label: 'somebody deletes the task', unfair: true, state: next });
    return;
  }
  const task = intern(newTask(configuration, 2));
  drafts.push({ label: 'somebody creates a task of the same name', state: { ...state, task, deeds } });
}

function suspendSteps(state: State, drafts: Draft[]): void {
  const { task } = state;
  if (task === undefined || isFinished(task.value)) return;
  const { suspend } = task.value.spec;
  const next = suspended(task, !suspend);
  const label = suspend ? 'somebody resumes the task' : 'somebody suspends the task';
  drafts.push({ label, ...(suspend ? {} : { unfair: true as const }), state: { ...state, task: next } });
}

function suspended({ value }: Handle<CaptchaTask>, suspend: boolean): Handle<CaptchaTask> {
  return intern({
    ...value,
    metadata: { ...value.metadata, resourceVersion: '~v9' },
    spec: { ...value.spec, suspend },
  });
}

function secretSteps(state: State, drafts: Draft[]): void {
  const secret = state.secret?.value as { metadata: { ownerReferences?: unknown[] } } | undefined;
  if (secret === undefined || secret.metadata.ownerReferences !== undefined) return;
  drafts.push({
    label: 'somebody takes the Secret away that is in the way',
    state: { ...state, ...withoutObject(state, SECRET.plural, 'solution') },
  });
}

function journalSteps(state: State, drafts: Draft[]): void {
  if (state.journal === undefined || state.deeds > 0) return;
  const next = { ...state, ...withoutObject(state, CONFIG_MAP.plural, ''), deeds: 1 };
  drafts.push({ label: 'somebody deletes the journal', unfair: true, state: next });
}

function letterSteps(state: State, drafts: Draft[]): void {
  for (const { value } of state.letters) {
    const { name } = value.metadata;
    drafts.push({
      label: 'somebody deletes a letter',
      unfair: true,
      state: { ...state, ...withoutObject(state, DEAD_LETTER.plural, name), deeds: 1 },
    });
  }
}
