/**
 * The commands: their names, what each takes, and how a command line is read. Pure. What is wrong with a line is said in
 * one sentence, with the way to help; nothing is guessed.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { CAPTCHA_FIELDS } from '../api/generated/fields.ts';
import { ALL_NAMESPACES, COMMON_FLAGS, durationMs, solveFlagsOf, typeNamed, WAIT_FLAGS, type Flag } from './flags.ts';
import type { Values } from './task-spec.ts';

export interface Command {
  name: string;
  about: string;
  /** What stands for its arguments in help, and how many there may be. */
  argument?: { name: string; least: number; most: number };
  flags: readonly Flag[];
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'solve',
    about: 'Create a task, wait for its end, print the solution alone.',
    argument: { name: '<type>', least: 1, most: 1 },
    flags: WAIT_FLAGS,
  },
  {
    name: 'wait',
    about: 'Wait for the end of a task that exists, print its solution alone.',
    argument: { name: '<task>', least: 1, most: 1 },
    flags: WAIT_FLAGS,
  },
  {
    name: 'list',
    about: 'What is open, by reason and age.',
    flags: [ALL_NAMESPACES, { name: 'finished', about: 'Finished tasks, too.' }],
  },
  {
    name: 'top',
    about: 'The same, refreshed, with the number of tasks of each reason.',
    flags: [ALL_NAMESPACES, { name: 'interval', takes: 'duration', about: 'Time between two looks. Default 2s.' }],
  },
  {
    name: 'redrive',
    about: 'Retry dead letters now, with a fresh budget.',
    argument: { name: '<letter>…', least: 0, most: Infinity },
    flags: [ALL_NAMESPACES, { name: 'all', about: 'Every letter that is pending or abandoned.' }],
  },
  {
    name: 'doctor',
    about: 'Look at the installation and say what is wrong and what to do.',
    flags: [
      ALL_NAMESPACES,
      { name: 'system-namespace', takes: 'name', about: 'Where the operator runs. Default captcha-system.' },
      { name: 'skip-callback', about: 'Do not ask the callback URL.' },
    ],
  },
  {
    name: 'completion',
    about: 'Print a script for the completion of your shell.',
    argument: { name: 'bash|zsh|fish', least: 1, most: 1 },
    flags: [],
  },
];

export type Line =
  | { kind: 'run'; command: string; args: readonly string[]; values: Values }
  | { kind: 'help'; text: string }
  | { kind: 'version' }
  | { kind: 'wrong'; message: string };

/** @param argv without node and the script */
export function readLine(argv: readonly string[]): Line {
  const [name = 'help', ...rest] = argv;
  if (['help', '--help', '-h'].includes(name)) return { kind: 'help', text: overview() };
  if (name === '--version') return { kind: 'version' };
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) return wrong(`there is no command "${name}"`);
  return name === 'solve' ? readSolve(command, rest) : readCommand(command, command.flags, rest);
}

/** The type comes first, because the flags depend on it. */
function readSolve(command: Command, argv: readonly string[]): Line {
  const [first = ''] = argv;
  if (first === '--help' || first === '-h') return { kind: 'help', text: solveHelp(command) };
  if (first === '' || first.startsWith('-')) return wrong('solve takes the type of the captcha first', 'solve');
  const type = typeNamed(first);
  if (type === undefined) return wrong(`there is no captcha type "${first}"`, 'solve');
  return readCommand(command, solveFlagsOf(type), [type, ...argv.slice(1)]);
}

function readCommand(command: Command, flags: readonly Flag[], argv: readonly string[]): Line {
  const all = [...flags, ...COMMON_FLAGS];
  const subject = command.name === 'solve' ? `solve ${argv[0]}` : command.name;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...argv], options: optionsOf(all), allowPositionals: true, allowNegative: true });
  } catch (error) {
    return wrong((error as Error).message.replace(/\. .*/s, ''), subject);
  }
  const values = parsed.values as Values;
  if (values['help'] === true) return { kind: 'help', text: commandHelp(command, subject, flags) };
  const fault = faultOf(command, all, { values, args: parsed.positionals });
  if (fault !== undefined) return wrong(fault, subject);
  return { kind: 'run', command: command.name, args: parsed.positionals, values };
}

function optionsOf(flags: readonly Flag[]): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    flags.map(({ name, short, takes, many }) => [
      name,
      {
        type: takes === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
        ...(many === true ? { multiple: true } : {}),
      },
    ]),
  );
}

function faultOf(
  command: Command,
  flags: readonly Flag[],
  { values, args }: { values: Values; args: readonly string[] },
): string | undefined {
  const faults = flags.map((flag) => flagFault(flag, values[flag.name]));
  return argumentFault(command, args, values) ?? faults.find((fault) => fault !== undefined);
}

/** Before anything is asked of the cluster: what is noticed later may have been paid for. */
function flagFault({ name, takes, values: allowed }: Flag, given: Values[string]): string | undefined {
  if (given === undefined) return undefined;
  if (takes === 'duration' && durationMs(String(given)) === undefined) {
    return `--${name} takes a duration, as 90s, 10m or 1h`;
  }
  return allowed?.includes(String(given)) === false ? `--${name} is one of ${allowed.join(', ')}` : undefined;
}

function argumentFault({ name, argument }: Command, args: readonly string[], values: Values): string | undefined {
  const { least = 0, most = 0, name: what = '' } = argument ?? {};
  if (args.length < least) return `${name} takes ${what}`;
  if (args.length > most) return `${name} does not take "${args[most]}"`;
  const isAll = values['all'] === true;
  return name === 'redrive' && args.length > 0 === isAll ? 'redrive takes letters, or --all' : undefined;
}

function wrong(message: string, subject?: string): Line {
  const help = subject === undefined ? 'kubectl captcha --help' : `kubectl captcha ${subject} --help`;
  return { kind: 'wrong', message: `${message}; see ${help}` };
}

const EXIT_CODES = `Exit codes: 0 solved, done, or nothing wrong; 1 the task failed or is gone, a letter could not be redriven, or doctor
found a fault; 2 the command line is wrong; 3 the cluster refused or cannot be reached; 4 the time was over and the task
goes on; 130 interrupted.`;

function overview(): string {
  const rows = COMMANDS.map(({ name, argument, about }) => [`${name} ${argument?.name ?? ''}`.trim(), about] as const);
  return `Captchas on Kubernetes, from the shell.

Usage: kubectl captcha <command> [flags]

${columns(rows)}

${EXIT_CODES}

kubectl captcha <command> --help says more.
`;
}

function solveHelp({ about }: Command): string {
  const rows = Object.entries(CAPTCHA_FIELDS).map(([type, { description }]) => [type, sentence(description)] as const);
  return `${about}

Usage: kubectl captcha solve <type> [flags]

Types, in any spelling of capitals and dashes:
${columns(rows)}

kubectl captcha solve <type> --help lists the flags of a type.
`;
}

function commandHelp({ about, argument, name }: Command, subject: string, flags: readonly Flag[]): string {
  const usage = name === 'solve' ? subject : `${name} ${argument?.name ?? ''}`.trim();
  return `${about}

Usage: kubectl captcha ${usage} [flags]

${columns([...flags, ...COMMON_FLAGS].map((flag) => [spelled(flag), sentence(flag.about)] as const))}
`;
}

function spelled({ name, short, takes, required }: Flag): string {
  const value = takes === undefined ? '' : ` <${takes}>`;
  return `${short === undefined ? '' : `-${short}, `}--${name}${value}${required === true ? ' (needed)' : ''}`;
}

/** Descriptions of the CRD are paragraphs; a list shows how they begin. */
export function sentence(text: string): string {
  return /^.*?[.;](?=\s|$)/s.exec(text)?.[0].replace(/;$/, '.') ?? text;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows
    .map(([left, right]) =>
      left.length > width ? `  ${left}\n  ${' '.repeat(width)}  ${right}` : `  ${left.padEnd(width)}  ${right}`,
    )
    .join('\n');
}
