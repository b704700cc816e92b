/**
 * `kubectl captcha`: reads a command line, opens the cluster, runs the command and answers with an exit code. It never
 * ends the process and reads no environment of its own: `bin/kubectl-captcha` gives it both.
 */
import { openCluster, type Cluster } from '../client/open.ts';
import { readLine } from './commands.ts';
import { completionOf, completionText, namesIn, SCRIPTS } from './completion.ts';
import { doctor } from './doctor/index.ts';
import { list, top } from './list.ts';
import { redrive } from './redrive.ts';
import { EXIT, print, say, type ExitCode, type Session, type Surroundings } from './session.ts';
import { solve, wait } from './solve.ts';
import type { Values } from './task-spec.ts';

const COMMANDS: Readonly<Record<string, (session: Session) => Promise<ExitCode>>> = {
  solve,
  wait,
  list,
  top,
  redrive,
  doctor,
};

/** The word that shells and kubectl put before a line that is to be completed. */
export const COMPLETE = '__complete';

export async function runCli(surroundings: Surroundings): Promise<ExitCode> {
  const [first, ...words] = surroundings.argv;
  if (first === COMPLETE) return complete(surroundings, words);
  const line = readLine(surroundings.argv);
  if (line.kind === 'help') return done(() => surroundings.stdout.write(line.text));
  if (line.kind === 'version') return done(() => print(surroundings, surroundings.version));
  if (line.kind === 'wrong') {
    say(surroundings, line.message);
    return EXIT.usage;
  }
  if (line.command === 'completion') return completionScript(surroundings, line.args[0] ?? '');
  return runOnCluster(surroundings, line);
}

function completionScript(surroundings: Surroundings, shell: string): ExitCode {
  const script = SCRIPTS[shell];
  if (script !== undefined) return done(() => surroundings.stdout.write(script));
  say(surroundings, `completion is for ${Object.keys(SCRIPTS).join(', ')}`);
  return EXIT.usage;
}

/** Whatever goes wrong here is silence: a shell shows it in the middle of a line. */
async function complete(surroundings: Surroundings, words: readonly string[]): Promise<ExitCode> {
  const completion = completionOf(words);
  const { names } = completion;
  const cluster = names === undefined ? undefined : await open(surroundings, {}).catch(() => undefined);
  const known = cluster === undefined || names === undefined ? [] : await namesIn(cluster, names, words);
  await cluster?.kube.close();
  const candidates = [...completion.candidates, ...known];
  return done(() => surroundings.stdout.write(completionText({ ...completion, candidates }, words.at(-1) ?? '')));
}

function done(act: () => unknown): ExitCode {
  act();
  return EXIT.ok;
}

async function runOnCluster(
  surroundings: Surroundings,
  line: { command: string; args: readonly string[]; values: Values },
): Promise<ExitCode> {
  const cluster = await open(surroundings, line.values).catch((error: unknown) => error as Error);
  if (cluster instanceof Error) {
    say(surroundings, cluster.message);
    return EXIT.refused;
  }
  const { args, values } = line;
  const namespace = String(values['namespace'] ?? cluster.namespace ?? 'default');
  const session: Session = { ...surroundings, args, values, cluster, namespace, isJSON: values['output'] === 'json' };
  try {
    return (await COMMANDS[line.command]?.(session)) ?? EXIT.usage;
  } finally {
    await cluster.kube.close();
  }
}

/** @throws Error in words for people */
function open({ environment, version }: Surroundings, values: Values): Promise<Cluster> {
  return openCluster({
    environment,
    userAgent: `kubectl-captcha/${version}`,
    kubeconfigPath: text(values['kubeconfig']),
    context: text(values['context']),
  });
}

function text(value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
