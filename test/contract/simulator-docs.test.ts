/** The page about the simulator and the simulator itself agree, and every switch has a test. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SIMULATOR_PAGE, simulatorPage } from '../../scripts/generate-simulator-docs.ts';
import { parseSwitches, SWITCH_NAMES, SWITCHES, switchesOf } from '../../dev/simulator/switches.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('the page about the simulator', () => {
  test('is the one generated from the switches (else run: npm run generate:docs)', () => {
    expect(read(SIMULATOR_PAGE)).toBe(simulatorPage());
  });
});

describe('the switches', () => {
  test('begin in each dialect with a value they have', () => {
    for (const name of SWITCH_NAMES) {
      expect(SWITCHES[name].values, name).toContain(switchesOf('official')[name]);
      expect(SWITCHES[name].values, name).toContain(switchesOf('family')[name]);
    }
  });

  test('are each turned by a test of the simulator', () => {
    const tests = read('test/rooms/provider-dialects.test.ts');
    expect(SWITCH_NAMES.filter((name) => !new RegExp(`[{ ]${name}(:| \\})`).test(tests))).toEqual([]);
  });

  test('are read from text, and others are refused with what there is', () => {
    expect(parseSwitches('ids=uuid, pingback=ignored')).toEqual({ ids: 'uuid', pingback: 'ignored' });
    expect(parseSwitches('')).toEqual({});
    expect(() => parseSwitches('idz=uuid')).toThrow('no switch "idz"; there are answerField');
    expect(() => parseSwitches('ids=none')).toThrow('ids is one of integer, string');
  });
});
