/**
 * The flags of every command, as data: what they are called, what they take, what they are for. Those of `solve` are made
 * of the CRD's schema (`api/generated/fields.ts`), so that a field of a task is a flag by itself. Pure; help, parsing and
 * completion read it.
 */
import { CAPTCHA_FIELDS, SPEC_FIELDS, type SchemaField } from '../api/generated/fields.ts';

export interface Flag {
  /** Without the dashes. */
  name: string;
  short?: string;
  /** What stands for its value in help; none: it is on or off. */
  takes?: string;
  /** It may be given several times. */
  many?: boolean;
  values?: readonly string[];
  required?: boolean;
  about: string;
}

/** `siteKey` → `site-key`, `pageURL` → `page-url`, `secretRef.name` → `secret-ref-name`. */
export function flagNameOf(path: readonly string[]): string {
  return path.map((part) => part.replaceAll(/[A-Z]+/g, (capitals) => `-${capitals.toLowerCase()}`)).join('-');
}

const TAKES: Readonly<Record<SchemaField['kind'], string | undefined>> = {
  text: 'text',
  integer: 'number',
  boolean: undefined,
  list: 'text',
  map: 'name=value',
  keyRef: 'name/key',
};

function flagOf({ path, kind, values, required, description }: SchemaField): Flag {
  const takes = values === undefined ? TAKES[kind] : values.join('|');
  return {
    name: flagNameOf(path),
    about: description,
    ...(takes === undefined ? {} : { takes }),
    ...(kind === 'list' || kind === 'map' ? { many: true } : {}),
    ...(values === undefined ? {} : { values }),
    ...(required === true ? { required } : {}),
  };
}

export const COMMON_FLAGS: readonly Flag[] = [
  { name: 'namespace', short: 'n', takes: 'name', about: 'Namespace; else that of the context, else default.' },
  { name: 'context', takes: 'name', about: 'Context of the kubeconfig; else its current one.' },
  { name: 'kubeconfig', takes: 'path', about: 'Kubeconfig file; else KUBECONFIG, else ~/.kube/config.' },
  { name: 'output', short: 'o', takes: 'json', values: ['json'], about: 'Machine-readable output.' },
  { name: 'help', short: 'h', about: 'Say what this command does.' },
];

export const ALL_NAMESPACES: Flag = { name: 'all-namespaces', short: 'A', about: 'Every namespace.' };

/** `90s`, `10m`, `1h`, `500ms`; a bare number is seconds. Undefined: not a duration. */
export function durationMs(text: string): number | undefined {
  const [, amount = '', unit = 's'] = /^(\d+)(ms|s|m|h)?$/.exec(text) ?? [];
  if (amount === '') return undefined;
  return Number(amount) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h'];
}

/** How `solve` and `wait` wait. */
export const WAIT_FLAGS: readonly Flag[] = [
  {
    name: 'timeout',
    takes: 'duration',
    about: 'Longest wait, as 90s, 10m or 1h. The task goes on after it. Default 11m.',
  },
  { name: 'quiet', short: 'q', about: 'No progress on stderr.' },
  { name: 'delete', about: 'Delete the task once its solution was printed.' },
];

const SOLVE_FLAGS: readonly Flag[] = [
  {
    name: 'name',
    takes: 'name',
    about: 'Name of the task; a repeat with the same name and captcha is the same task. Default: a new one.',
  },
  { name: 'secret', takes: 'name', about: 'Short for --solution-secret-name.' },
];

/** Where the captcha is an image: its content from files. */
const FILE_FLAG: Flag = {
  name: 'file',
  takes: 'path',
  many: true,
  about: 'The image, or in their order the images, from files; - is stdin.',
};

/** `recaptcha-v2`, `RECAPTCHAV2` and `RecaptchaV2` are one type. Undefined: there is none of that name. */
export function typeNamed(text: string): string | undefined {
  const bare = text.toLowerCase().replaceAll(/[-_]/g, '');
  return Object.keys(CAPTCHA_FIELDS).find((type) => type.toLowerCase() === bare);
}

/** The parts of a captcha that files can hold: the one text `body`, or the list `images`. */
export function fileFieldOf(type: string): SchemaField | undefined {
  return CAPTCHA_FIELDS[type]?.fields.find(({ path }) => path.length === 1 && /^(?:body|images)$/.test(path[0] ?? ''));
}

/** Those of the captcha first. */
export function solveFlagsOf(type: string): readonly Flag[] {
  const own = (CAPTCHA_FIELDS[type]?.fields ?? []).map(flagOf);
  // A file may stand in for what is required.
  const images = fileFieldOf(type) === undefined ? [] : [FILE_FLAG];
  const relaxed = own.map((flag) => (flag.name === 'images' ? { ...flag, required: false } : flag));
  return [...images, ...relaxed, ...SOLVE_FLAGS, ...SPEC_FIELDS.map(flagOf), ...WAIT_FLAGS];
}
