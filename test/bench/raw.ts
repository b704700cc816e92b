/**
 * What the API server itself can do: status writes of the same bodies as the operator's, prepared beforehand, over
 * keep-alive connections, by a loop that does nothing else. Every throughput figure is a ratio to this, in one run.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'undici';

import { submitted, intended, solved } from '../../src/core/task/transitions.ts';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { OPERATOR, type ControlPlane } from '../../dev/control-plane/index.ts';
import { CAPTCHA_ID } from '../support/builders.ts';

export interface RawWriter {
  /**
   * Makes ready the writes that each task still needs to be solved (new: 3, submitted: 1). What it returns sends them,
   * in order within a task, sixteen tasks at once, and resolves with how many there were.
   */
  prepare(tasks: readonly CaptchaTask[]): () => Promise<number>;
  close(): Promise<void>;
}

interface Server {
  url: string;
  authorization: string;
}

interface Cursor {
  path: string;
  /** The bodies, split where the resourceVersion belongs. */
  bodies: [string, string][];
  resourceVersion: string;
}

const MARK = '@resourceVersion@';
const IN_FLIGHT = 16;

/** The length of a Turnstile token. */
export const SOLUTION = 'v'.repeat(500);

export function createRawWriter(controlPlane: ControlPlane): RawWriter {
  const { serverURL, caFile } = controlPlane;
  // Under the operator's identity: an administrator would skip RBAC and priority and fairness.
  const server: Server = { url: serverURL, authorization: `Bearer ${controlPlane.tokenOf(OPERATOR)}` };
  const ca = readFileSync(caFile, 'utf8');
  const agent = new Agent({ connections: IN_FLIGHT, pipelining: 1, allowH2: false, connect: { ca } });
  const writeAll = async (cursors: readonly Cursor[]): Promise<number> => {
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let cursor = cursors[next++]; cursor !== undefined; cursor = cursors[next++]) {
        for (const [head, tail] of cursor.bodies) {
          const body = head + cursor.resourceVersion + tail;
          cursor.resourceVersion = await put(agent, server, cursor.path, body);
        }
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    return cursors.reduce((sum, { bodies }) => sum + bodies.length, 0);
  };
  return {
    prepare(tasks) {
      const cursors = tasks.map(cursorOf);
      return () => writeAll(cursors);
    },
    close: () => agent.close(),
  };
}

function cursorOf(task: CaptchaTask): Cursor {
  const { namespace, name, resourceVersion } = task.metadata;
  const now = Date.parse(task.metadata.creationTimestamp);
  const first = with_(task, intended(task, { by: 'raw/1', pingback: true, sameAttempt: false }, now));
  const second = with_(first, submitted(first, CAPTCHA_ID, now + 120_000, now));
  const waiting = task.status?.phase === 'Submitted' ? task : second;
  const solution = { value: SOLUTION, source: 'Callback' as const, attempt: 1, captchaID: CAPTCHA_ID };
  const third = with_(waiting, solved(waiting, { ...solution, receivedTime: task.metadata.creationTimestamp }, now));
  const { apiVersion, kind } = task;
  const metadata = { namespace, name, uid: task.metadata.uid, resourceVersion: MARK };
  const steps = waiting === task ? [third] : [first, second, third];
  const bodies = steps.map(({ status }) => {
    const text = JSON.stringify({ apiVersion, kind, metadata, status });
    return text.split(MARK) as [string, string];
  });
  return {
    path: `/apis/captcha-operator.io/v1alpha1/namespaces/${namespace}/captchatasks/${name}/status`,
    bodies,
    resourceVersion,
  };
}

function with_(task: CaptchaTask, status: CaptchaTask['status']): CaptchaTask {
  return { ...task, ...(status === undefined ? {} : { status }) };
}

async function put(agent: Agent, { url, authorization }: Server, path: string, body: string): Promise<string> {
  const reply = await agent.request({
    origin: url,
    path,
    method: 'PUT',
    headers: { authorization, 'content-type': 'application/json' },
    body,
  });
  const text = await reply.body.text();
  if (reply.statusCode !== 200) throw new Error(`raw write: ${reply.statusCode} ${text.slice(0, 300)}`);
  const version = /"resourceVersion":"(\d+)"/.exec(text)?.[1];
  if (version === undefined) throw new Error('raw write: the answer carries no resourceVersion');
  return version;
}
