/**
 * Reads the Dockerfile as far as ours goes: stages with WORKDIR, COPY, RUN, ENV, USER, ENTRYPOINT and CMD. Anything else
 * is an error, so that a new instruction is not silently left out where no container engine is available.
 * Used by image-contents.ts.
 */

export type Instruction =
  | { kind: 'WORKDIR'; path: string }
  | { kind: 'COPY'; from: string | undefined; sources: string[]; target: string }
  | { kind: 'RUN'; command: string }
  | { kind: 'ENV'; name: string; value: string }
  | { kind: 'USER'; uid: number; gid: number };

export interface Stage {
  /** `node:24.21.0-trixie-slim` */
  image: string;
  name: string | undefined;
  instructions: Instruction[];
  entrypoint: string[];
  command: string[];
}

/** Throws for what it does not know, with the line. */
export function parseDockerfile(text: string): Stage[] {
  const stages: Stage[] = [];
  for (const line of logicalLines(text)) {
    const [word = '', ...rest] = line.split(/\s+/);
    const stage = stages.at(-1);
    if (word === 'FROM') stages.push(stageOf(rest));
    else if (stage === undefined) throw new Error(`an instruction before FROM: ${line}`);
    else if (word === 'ENTRYPOINT') stage.entrypoint = JSON.parse(rest.join(' ')) as string[];
    else if (word === 'CMD') stage.command = JSON.parse(rest.join(' ')) as string[];
    else stage.instructions.push(instructionOf(word, rest, line));
  }
  return stages;
}

function logicalLines(text: string): string[] {
  return text
    .replaceAll(/^\s*#.*$/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function stageOf(words: string[]): Stage {
  const [image = '', as, name] = words.filter((word) => !word.startsWith('--platform='));
  if (as !== undefined && as.toUpperCase() !== 'AS') throw new Error(`not understood: FROM ${words.join(' ')}`);
  return { image, name, instructions: [], entrypoint: [], command: [] };
}

function instructionOf(word: string, rest: string[], line: string): Instruction {
  const [first = ''] = rest;
  switch (word) {
    case 'WORKDIR':
      return { kind: 'WORKDIR', path: first };
    case 'COPY':
      return copyOf(rest, line);
    case 'RUN':
      return { kind: 'RUN', command: line.slice('RUN '.length) };
    case 'ENV': {
      const [name = '', value = ''] = first.split('=', 2);
      return { kind: 'ENV', name, value };
    }
    case 'USER':
      return userOf(first, line);
    default:
      throw new Error(`not understood: ${line}`);
  }
}

function userOf(words: string, line: string): Instruction {
  const [uid, gid] = words.split(':').map(Number);
  if (!uid || !gid) throw new Error(`USER must be two numbers above 0: ${line}`);
  return { kind: 'USER', uid, gid };
}

function copyOf(rest: string[], line: string): Instruction {
  const flags = rest.filter((word) => word.startsWith('--'));
  if (flags.some((flag) => !flag.startsWith('--from='))) throw new Error(`not understood: ${line}`);
  const words = rest.filter((word) => !word.startsWith('--'));
  return {
    kind: 'COPY',
    from: flags[0]?.slice('--from='.length),
    sources: words.slice(0, -1),
    target: words.at(-1) ?? '',
  };
}
