/**
 * The provider simulator as a process of its own, for the demo, the benchmarks and anyone who wants to try the operator
 * without an account:
 *
 *     PORT=8900 ANSWER_AFTER_MS=2000 node src/bin/simulator.ts
 *
 * Writes one JSON line when it listens (`{"msg":"simulator listening","url":…}`), ends with 0 on SIGTERM and SIGINT.
 * Never part of an installation.
 */
import { startSimulator } from '../dev/simulator/index.ts';

function numberFrom(name: string, fallback: number): number {
  const text = process.env[name] ?? String(fallback);
  if (!/^\d{1,9}$/.test(text)) {
    process.stderr.write(`${name} must be a whole number, not ${JSON.stringify(text)}\n`);
    process.exit(2);
  }
  return Number(text);
}

const simulator = await startSimulator({
  port: numberFrom('PORT', 0),
  answerAfterMs: numberFrom('ANSWER_AFTER_MS', 2_000),
  banAfterWrongKeys: numberFrom('BAN_AFTER_WRONG_KEYS', 0),
});
process.stdout.write(`${JSON.stringify({ msg: 'simulator listening', url: simulator.url })}\n`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void simulator.stop().then(() => process.exit(0));
  });
}
