/** When polls leave POST, and that nothing but a proof makes them: by GET the key stands in a URL. */
import { describe, expect, test } from 'vitest';
import { BY_POST, accepted, polled, type PollAnswer, type PollVerb } from '../../../src/provider/poll-verb.ts';

const KEY = 'k'.repeat(32);
const OTHER = 'o'.repeat(32);
/** `+key`: a submission with it is accepted; else a poll with `KEY`, by how it is answered. */
const after = (...events: (PollAnswer | { accepted: string })[]): PollVerb['verb'] =>
  events.reduce<PollVerb>(
    (state, event) => (typeof event === 'object' ? accepted(state, event.accepted) : polled(state, KEY, event)),
    BY_POST,
  ).verb;
const submission = { accepted: KEY };

describe('polls go by POST', () => {
  test('at first, and while they are answered', () => {
    expect(after()).toBe('POST');
    expect(after('answered', 'answered')).toBe('POST');
  });
  test('after two that are refused as a method, and after any number with an answer in between', () => {
    expect(after('method', 'method')).toBe('POST');
    expect(after('method', 'method', 'answered', 'method', 'method')).toBe('POST');
  });
  test('while a key is refused that was accepted before', () => {
    expect(after(submission, 'key', 'key', 'key', 'key', 'key')).toBe('POST');
  });
  test('when a key that was refused is accepted again, until polls are refused all the same', () => {
    expect(after('key', 'key', 'key', submission)).toBe('POST');
    expect(after('key', 'key', 'key', submission, 'answered', 'key')).toBe('POST');
  });
  test('when a refused key may be what is wrong after all', () => {
    expect(after('key', 'key', 'method', 'method')).toBe('POST');
  });
  test('when another key than the refused one is accepted', () => {
    expect(after('key', 'key', { accepted: OTHER }, 'key', 'key')).toBe('POST');
  });
  test('whatever the network does', () => {
    expect(after('nothing', 'nothing', 'nothing', 'nothing')).toBe('POST');
  });
});

describe('polls go by GET', () => {
  test('after three in a row that are refused as a method', () => {
    expect(after('method', 'method', 'method')).toBe('GET');
    expect(after('answered', 'method', 'nothing', 'method', 'method')).toBe('GET');
  });
  test('after three in a row that are refused for a key whose submissions are accepted meanwhile', () => {
    expect(after('key', submission, 'key', 'key')).toBe('GET');
    expect(after('key', 'key', 'key', submission, 'key')).toBe('GET');
  });
  test('for good', () => {
    expect(after('method', 'method', 'method', 'answered', 'method', 'key')).toBe('GET');
  });
});
