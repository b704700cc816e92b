/**
 * From the flags of `solve` to the spec of a task. Pure: files are given as their content. It checks what a person gets
 * wrong at the keyboard (what is missing, not a number, no key); bounds and patterns are the API server's to check, whose
 * words name the field.
 */
import { CAPTCHA_FIELDS, SPEC_FIELDS, type SchemaField } from '../api/generated/fields.ts';
import type { NewTask } from '../client/types.ts';
import { fileFieldOf, flagNameOf } from './flags.ts';

/** What was given for each flag. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export type Built = { ok: true; spec: NewTask['spec'] } | { ok: false; wrong: string };

/** @param images content of the files that `--file` names, in base64 */
export function specOf(type: string, values: Values, images: readonly string[]): Built {
  const { member = '', fields = [] } = CAPTCHA_FIELDS[type] ?? {};
  const captcha: Tree = {};
  const spec: Tree = {};
  const wrong: string[] = [];
  for (const field of fields) fill(captcha, field, { values, wrong });
  putImages(captcha, type, { images, wrong });
  const { secret, ...others } = values;
  const named = secret === undefined ? others : { 'solution-secret-name': secret, ...others };
  for (const field of SPEC_FIELDS) fill(spec, field, { values: named, wrong });
  const missing = fields.filter(({ path, required }) => required === true && captcha[path[0] ?? ''] === undefined);
  if (missing.length > 0) {
    wrong.push(`${type} needs ${missing.map(({ path }) => `--${flagNameOf(path)}`).join(' and ')}`);
  }
  if (wrong.length > 0) return { ok: false, wrong: wrong.join('; ') };
  return { ok: true, spec: { ...spec, captcha: { type, [member]: captcha } } as unknown as NewTask['spec'] };
}

interface Tree {
  [part: string]: Tree | string | number | boolean | readonly string[];
}

interface Filling {
  values: Values;
  wrong: string[];
}

function fill(tree: Tree, field: SchemaField, { values, wrong }: Filling): void {
  const flag = flagNameOf(field.path);
  const given = values[flag];
  if (given === undefined) return;
  const value = valueOf(field, given);
  if (value === undefined) wrong.push(`--${flag} takes ${EXPECTED[field.kind]}`);
  else put(tree, field.path, value);
}

const EXPECTED: Readonly<Record<SchemaField['kind'], string>> = {
  text: 'a text',
  integer: 'a whole number',
  boolean: 'no value',
  list: 'a text',
  map: 'name=value',
  keyRef: 'name/key',
};

function valueOf({ kind }: SchemaField, given: string | boolean | readonly string[]): Tree[string] | undefined {
  if (kind === 'map') return mapOf([given].flat().map(String));
  if (kind === 'integer') return /^-?\d+$/.test(String(given)) ? Number(given) : undefined;
  return kind === 'keyRef' ? keyRefOf(String(given)) : given;
}

function keyRefOf(text: string): Tree | undefined {
  const [, name, key] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  return name === undefined || key === undefined ? undefined : { name, key };
}

function mapOf(pairs: readonly string[]): Tree | undefined {
  const split = pairs.map((pair) => /^([^=]+)=([\s\S]*)$/.exec(pair));
  if (split.includes(null)) return undefined;
  return Object.fromEntries(split.map((match) => [match?.[1] ?? '', match?.[2] ?? '']));
}

function put(tree: Tree, [first = '', ...rest]: readonly string[], value: Tree[string]): void {
  if (rest.length === 0) {
    tree[first] = value;
    return;
  }
  const inner = (tree[first] ?? {}) as Tree;
  tree[first] = inner;
  put(inner, rest, value);
}

function putImages(
  captcha: Tree,
  type: string,
  { images, wrong }: { images: readonly string[]; wrong: string[] },
): void {
  const field = fileFieldOf(type);
  const [first] = images;
  if (field === undefined || first === undefined) return;
  const [name = ''] = field.path;
  const isList = field.kind === 'list';
  if (captcha[name] !== undefined) wrong.push(`--file and --${flagNameOf(field.path)} say the same`);
  else if (!isList && images.length > 1) wrong.push(`${type} takes one --file`);
  else captcha[name] = isList ? images : first;
}
