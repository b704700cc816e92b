/**
 * What can become of the request that a protocol waits for: it is answered; it is carried out and the reply is lost; it
 * is lost; or its sender gives up on it and it is carried out some time later.
 */
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import type { Model } from './draft.ts';
import type { Handle } from './intern.ts';
import { LOST, serve } from './server.ts';
import { shownJournal, shownStatus } from './show.ts';
import type { Objects, State, Work } from './state.ts';
import { told } from './works.ts';

export interface RequestOutcome {
  label: string;
  unfair: boolean;
  objects: Objects;
  reply: Handle<ApiReply>;
  flight?: Handle<ApiRequest>;
  broken?: string | undefined;
}

export function requestOutcomes(model: Model, state: State, request: Handle<ApiRequest>): RequestOutcome[] {
  const { forbidden, callbacks, lossy } = model.configuration;
  const { unchecked } = model.product;
  const cached = callbacks?.lag === true ? state.lagging : state.task;
  const { objects, reply, broken } = serve(state, request, cached, { forbidden, unchecked });
  const what = describe(request.value);
  const answered = reply.value.ok ? 'ok' : reply.value.status;
  const done: RequestOutcome = { label: `${what}: ${answered}`, unfair: false, objects, reply, broken };
  return lossy === undefined ? [done] : [done, ...lostOutcomes(model, state, { request, done, what })];
}

/** What may become of a request whose sender hears nothing. */
function lostOutcomes(
  { configuration }: Model,
  state: State,
  { request, done, what }: { request: Handle<ApiRequest>; done: RequestOutcome; what: string },
): RequestOutcome[] {
  const { lossy, delayed } = configuration;
  const lost = { unfair: true, reply: LOST, objects: state };
  const outcomes: RequestOutcome[] = [{ label: `${what}: lost`, ...lost }];
  if (isRead(request.value)) return lossy === 'reads too' ? outcomes : [];
  if (done.reply.value.ok) {
    outcomes.push({ ...done, label: `${what}: done, but the reply is lost`, unfair: true, reply: LOST });
  }
  if (delayed === true && state.flight === undefined) {
    outcomes.push({ label: `${what}: no reply, and it is still under way`, flight: request, ...lost });
  }
  return outcomes;
}

function isRead({ verb }: ApiRequest): boolean {
  return verb === 'get' || verb === 'list';
}

/** The same for a protocol that is no step: what it makes of each outcome. */
export interface ProtocolOutcome extends Omit<RequestOutcome, 'reply'> {
  /** The protocol goes on, or has ended with this verdict. */
  next: { work: Work; ended: false } | { verdict: unknown; ended: true };
}

export function protocolOutcomes(model: Model, state: State, work: Work): ProtocolOutcome[] {
  const { request } = model.works.next(work);
  if (request === undefined) return [];
  return requestOutcomes(model, state, request).map(({ reply, ...outcome }) => {
    const after = told(work, reply);
    const { request: another, verdict } = model.works.next(after);
    return { ...outcome, next: another === undefined ? { verdict, ended: true } : { work: after, ended: false } };
  });
}

function describe(request: ApiRequest): string {
  const { plural } = request.resource;
  if (request.verb === 'list') return `lists ${plural}`;
  if (request.verb === 'get') return `reads (${request.read}) ${plural}`;
  if (request.verb === 'create') return `creates ${plural}${shownJournal(request.object)}`;
  if (request.verb === 'delete') return `deletes ${plural}`;
  if (request.verb === 'replace') return `puts ${plural}${shownJournal(request.object)}`;
  const verb = request.verb === 'replaceStatus' ? 'puts' : 'patches';
  return `${verb} ${plural} {${shownStatus(writtenStatus(request)).join(', ')}}`;
}

function writtenStatus(request: Extract<ApiRequest, { verb: 'patchStatus' | 'replaceStatus' }>): object {
  if (request.verb === 'replaceStatus') return (request.object as { status?: object }).status ?? {};
  const changes = request.patch.filter(({ op }) => op !== 'test');
  return Object.fromEntries(changes.map(({ path, value }) => [path.slice('/status/'.length), value]));
}
