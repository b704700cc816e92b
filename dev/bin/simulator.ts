/**
 * The provider simulator as a process of its own, for the demo, the benchmarks and anyone who wants to try the operator
 * without an account:
 *
 *     PORT=8900 ANSWER_AFTER_MS=2000 node dev/bin/simulator.ts
 *     DIALECT=family SWITCHES=pingback=ignored,poolFull=queue node dev/bin/simulator.ts
 *     RECORDING=live-results/….json node dev/bin/simulator.ts
 *
 * Dialects and switches: docs/simulator.md.
 * Writes one JSON line when it listens (`{"msg":"simulator listening","url":…}`), ends with 0 on SIGTERM and SIGINT.
 * Never part of an installation.
 */
import { recordedLikeness } from '../live/recording.ts';
import type { Likeness } from '../live/run.ts';
import { startSimulator } from '../simulator/index.ts';
import { DIALECTS, parseSwitches, type Dialect } from '../simulator/switches.ts';

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

function numberFrom(name: string, fallback: number): number {
  const text = process.env[name] ?? String(fallback);
  if (!/^\d{1,9}$/.test(text)) refuse(`${name} must be a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}

function dialectFrom(text = 'official'): Dialect {
  return DIALECTS.find((dialect) => dialect === text) ?? refuse(`DIALECT must be one of ${DIALECTS.join(', ')}`);
}

/** Like the provider of a recording of `npm run live`, then with the switches that are named. */
function likenessFrom({ RECORDING: path, SWITCHES: text = '' }: NodeJS.ProcessEnv): Likeness {
  try {
    const recorded = path ? recordedLikeness(path) : { switches: {}, words: {} };
    return { ...recorded, switches: { ...recorded.switches, ...parseSwitches(text) } };
  } catch (error) {
    return refuse(`SWITCHES or RECORDING: ${(error as Error).message}`);
  }
}

const simulator = await startSimulator({
  port: numberFrom('PORT', 0),
  answerAfterMs: numberFrom('ANSWER_AFTER_MS', 2_000),
  banAfterWrongKeys: numberFrom('BAN_AFTER_WRONG_KEYS', 0),
  dialect: dialectFrom(process.env['DIALECT']),
  ...likenessFrom(process.env),
});
process.stdout.write(`${JSON.stringify({ msg: 'simulator listening', url: simulator.url })}\n`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void simulator.stop().then(() => process.exit(0));
  });
}
