/** What a question of `npm run live` is, and what it is asked with. Types only. */
import type { Session } from './session.ts';

/** Points and what was seen of them; where a point is a switch of the simulator, one of its values. No secrets. */
export type Observations = Record<string, string>;

export interface Site {
  siteKey: string;
  pageURL: string;
  action?: string;
}

/** What some questions need and only the account's owner can give. */
export interface Materials {
  proxy?: { address: string; type: string };
  v2Enterprise?: Site;
  v3Enterprise?: Site;
  /** A Python that has the provider's own client, and the environment to run it in. */
  python?: { path: string; env: NodeJS.ProcessEnv };
  /** Wait ten minutes and an hour where a question is about time. */
  patient?: true;
}

export interface Question {
  id: string;
  step: number;
  asks: string;
  /** How many submissions may be paid for at most; `threads`: as many as the account has, and one. */
  mayCost: number | 'threads';
  needs?: keyof Materials | 'callback';
  ask(session: Session, materials: Materials): Promise<Observations>;
}

/** The key is refused or the address banned: asking on would make it worse. */
export class AccountRefused extends Error {}
