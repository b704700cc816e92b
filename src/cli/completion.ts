/**
 * Shell completion: what may stand where the cursor is, in the words of cobra's `__complete` (candidates with their
 * descriptions, then a directive), which kubectl understands of its plugins. Names of tasks and letters come from the
 * cluster; where it does not answer soon, there are none, and nothing is said.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { DeadLetter } from '../api/deadletter.ts';
import { CAPTCHA_FIELDS } from '../api/generated/fields.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../api/names.ts';
import type { Cluster } from '../client/open.ts';
import { COMMANDS, sentence, type Command } from './commands.ts';
import { COMMON_FLAGS, solveFlagsOf, typeNamed, type Flag } from './flags.ts';
import { listAll, OPEN_TASKS } from './list.ts';

export interface Candidate {
  value: string;
  about: string;
}

/** What the names in this place are names of. */
type Names = 'tasks' | 'letters';

export interface Completion {
  candidates: readonly Candidate[];
  /** Names that the cluster knows stand here, too. */
  names?: Names;
  /** The shell may offer files. */
  files?: boolean;
}

const NOTHING: Completion = { candidates: [] };

/** @param words what stands after `kubectl captcha`, the unfinished word last (perhaps empty) */
export function completionOf(words: readonly string[]): Completion {
  const current = words.at(-1) ?? '';
  const [name = '', first = ''] = words;
  if (words.length <= 1) return { candidates: matching(COMMANDS.map(candidateOf), current) };
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) return NOTHING;
  const flags = flagsOf(command, first);
  const before = flags.find((flag) => isFlag(flag, words.at(-2) ?? ''));
  if (before?.takes !== undefined) return valuesOf(before, current);
  if (current.startsWith('-')) return { candidates: matching(unused(flags, words), current) };
  return argumentsOf(command, givenArguments(flags, words) === 0, current);
}

function flagsOf({ name, flags }: Command, first: string): readonly Flag[] {
  const type = name === 'solve' ? typeNamed(first) : undefined;
  return [...(type === undefined ? flags : solveFlagsOf(type)), ...COMMON_FLAGS];
}

function candidateOf({ name, about }: { name: string; about: string }): Candidate {
  return { value: name, about };
}

function matching(candidates: readonly Candidate[], begin: string): Candidate[] {
  return candidates.filter(({ value }) => value.toLowerCase().startsWith(begin.toLowerCase()));
}

function isFlag({ name, short }: Flag, word: string): boolean {
  return word === `--${name}` || (short !== undefined && word === `-${short}`);
}

function unused(flags: readonly Flag[], words: readonly string[]): Candidate[] {
  return flags
    .filter((flag) => flag.many === true || !words.slice(0, -1).some((word) => isFlag(flag, word.split('=')[0] ?? '')))
    .map(({ name, about }) => ({ value: `--${name}`, about: sentence(about) }));
}

function valuesOf({ values, takes }: Flag, current: string): Completion {
  const candidates = (values ?? []).map((value) => ({ value, about: '' }));
  return { candidates: matching(candidates, current), files: takes === 'path' };
}

/** How many arguments stand before the cursor: what is neither the command, nor a flag, nor the value of one. */
function givenArguments(flags: readonly Flag[], words: readonly string[]): number {
  const takesNext = (word: string): boolean => flags.some((flag) => flag.takes !== undefined && isFlag(flag, word));
  return words.slice(1, -1).filter((word, index) => !word.startsWith('-') && !takesNext(words[index] ?? '')).length;
}

function argumentsOf({ name }: Command, isFirst: boolean, current: string): Completion {
  if (name === 'solve' && isFirst) {
    const types = Object.entries(CAPTCHA_FIELDS).map(([value, { description }]) => ({
      value,
      about: sentence(description),
    }));
    return { candidates: matching(types, current) };
  }
  if (name === 'completion' && isFirst) {
    return {
      candidates: matching(
        Object.keys(SCRIPTS).map((value) => ({ value, about: '' })),
        current,
      ),
    };
  }
  if (name === 'wait' && isFirst) return { candidates: [], names: 'tasks' };
  return name === 'redrive' ? { candidates: [], names: 'letters' } : NOTHING;
}

const NAMES_TIMEOUT_MS = 2_000;

/** Of what is open, in the namespace that the words so far say. */
export async function namesIn(cluster: Cluster, names: Names, words: readonly string[]): Promise<Candidate[]> {
  const said = words.findIndex((word) => word === '-n' || word === '--namespace');
  const namespace = (said === -1 ? undefined : words[said + 1]) ?? cluster.namespace ?? 'default';
  const signal = AbortSignal.timeout(NAMES_TIMEOUT_MS);
  if (names === 'tasks') {
    const found = await listAll<CaptchaTask>(cluster, CAPTCHA_TASK, { namespace, fieldSelector: OPEN_TASKS, signal });
    return found.ok
      ? found.items.map(({ metadata, status }) => ({ value: metadata.name, about: status?.phase ?? '' }))
      : [];
  }
  const found = await listAll<DeadLetter>(cluster, DEAD_LETTER, { namespace, signal });
  const open = found.ok ? found.items.filter(({ status }) => status?.phase !== 'Resolved') : [];
  return open.map(({ metadata, status }) => ({ value: metadata.name, about: status?.phase ?? 'Pending' }));
}

/** Cobra's directives: 4 is "no files". */
export function completionText({ candidates, files }: Completion, current: string): string {
  const lines = matching(candidates, current).map(({ value, about }) => (about === '' ? value : `${value}\t${about}`));
  return [...lines, files === true ? ':0' : ':4', ''].join('\n');
}

/** For `kubectl-captcha` by its own name; for `kubectl captcha` kubectl's own completion asks `kubectl_complete-captcha`. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# kubectl captcha, completion for bash: source <(kubectl captcha completion bash)
_kubectl_captcha() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == :* ]] || COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(kubectl-captcha __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _kubectl_captcha kubectl-captcha
`,
  zsh: `#compdef kubectl-captcha
# kubectl captcha, completion for zsh: source <(kubectl captcha completion zsh)
_kubectl_captcha() {
  local -a found
  local line
  for line in "\${(@f)$(kubectl-captcha __complete "\${(@)words[2,$CURRENT]}" 2>/dev/null)}"; do
    [[ $line == :* || -z $line ]] || found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#found )); then _describe 'kubectl captcha' found; else _files; fi
}
compdef _kubectl_captcha kubectl-captcha
`,
  fish: `# kubectl captcha, completion for fish: kubectl captcha completion fish | source
function __kubectl_captcha
  set -l found (kubectl-captcha __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
  string match -v ':*' -- $found
  contains -- ':0' $found; and __fish_complete_path (commandline -ct)
end
complete -c kubectl-captcha -f -a '(__kubectl_captcha)'
`,
};
