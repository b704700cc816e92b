/**
 * Every small way to make a valid object invalid by its schema: a required field left out, a value of another type, one
 * beyond each bound, a text that breaks its pattern, a value outside of its list. Pure; the cluster tests send them.
 */
import type { FieldSchema } from './crd-schema.ts';
import type { Json } from './manifests.ts';

export interface Mutation {
  /** The field at fault, as the API server writes it: `spec.captcha.bls.images[0]`. */
  field: string;
  /** What was done to it. */
  fault: string;
  object: Json;
}

type Path = (string | number)[];

/** All mutations of the part of `object` at `root` (for example `['spec']`), described by `schema`. */
export function mutationsOf(object: Json, root: Path, schema: FieldSchema): Mutation[] {
  return faultsBelow(valueAt(object, root), root, schema).map(({ path, fault, value }) => ({
    field: fieldName(path),
    fault,
    object: withValue(object, path, value),
  }));
}

/** The fields of a schema that `object` has: to check that the manifests miss none. */
export function fieldsOf(value: unknown, schema: FieldSchema, name: string): string[] {
  const below = childrenOf(value, schema).flatMap(([, child, childSchema, suffix]) =>
    fieldsOf(child, childSchema, `${name}${suffix}`),
  );
  return [name, ...below];
}

interface Fault {
  path: Path;
  fault: string;
  /** `undefined`: the field is left out. */
  value: unknown;
}

function faultsBelow(value: unknown, path: Path, schema: FieldSchema): Fault[] {
  const own = [...typeFaults(schema), ...boundFaults(value, schema), ...textFaults(value, schema)];
  // null means "not given" to the API server, so it is a fault only where something must be given.
  const left = (schema.required ?? []).flatMap((name) => [
    { path: [...path, name], fault: 'left out', value: undefined },
    { path: [...path, name], fault: 'is null', value: null },
  ]);
  const below = childrenOf(value, schema).flatMap(([key, child, childSchema]) =>
    faultsBelow(child, [...path, key], childSchema),
  );
  return [...own.map(([fault, wrong]) => ({ path, fault, value: wrong })), ...left, ...below];
}

/** Key, value, schema and name suffix of what lies directly below; of a list and of a map the first item speaks for all. */
function childrenOf(value: unknown, schema: FieldSchema): [string | number, unknown, FieldSchema, string][] {
  if (Array.isArray(value)) return schema.items && value.length > 0 ? [[0, value[0], schema.items, '[]']] : [];
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value);
  if (schema.additionalProperties) {
    const values = schema.additionalProperties;
    return entries.slice(0, 1).map(([name, child]) => [name, child, values, '{}']);
  }
  return entries.flatMap(([name, child]) => {
    const property = schema.properties?.[name];
    return property ? [[name, child, property, `.${name}`] as [string, unknown, FieldSchema, string]] : [];
  });
}

const WRONG_TYPES: Record<string, unknown[]> = {
  string: [7, true, ['text'], { text: 'text' }],
  integer: ['7', 1.5, true, [1]],
  boolean: ['true', 1, [true]],
  array: ['text', { 0: 'text' }],
  object: ['text', 7, ['text']],
};

function typeFaults(schema: FieldSchema): [string, unknown][] {
  // The API server does not check the type of a list that is given for a time.
  const wrongs = (WRONG_TYPES[schema.type ?? ''] ?? []).filter(
    (wrong) => !(schema.format === 'date-time' && Array.isArray(wrong)),
  );
  return wrongs.map((wrong) => [`is ${JSON.stringify(wrong)}`, wrong]);
}

function boundFaults(value: unknown, schema: FieldSchema): [string, unknown][] {
  const faults: [string, unknown][] = [];
  if (schema.minimum !== undefined) faults.push(['is below its minimum', schema.minimum - 1]);
  if (schema.maximum !== undefined) faults.push(['is above its maximum', schema.maximum + 1]);
  if (Array.isArray(value) && schema.minItems !== undefined)
    faults.push(['has too few items', value.slice(0, schema.minItems - 1)]);
  if (Array.isArray(value) && schema.maxItems !== undefined) {
    faults.push(['has too many items', Array.from({ length: schema.maxItems + 1 }, () => value[0] as unknown)]);
  }
  if (schema.maxProperties !== undefined) {
    const many = Array.from({ length: schema.maxProperties + 1 }, (_, index) => [`p${index}`, 'x']);
    faults.push(['has too many entries', Object.fromEntries(many)]);
  }
  return faults;
}

function textFaults(value: unknown, schema: FieldSchema): [string, unknown][] {
  if (typeof value !== 'string') return [];
  const faults: [string, unknown][] = [];
  if (schema.minLength !== undefined) faults.push(['is empty', '']);
  if (schema.enum) faults.push(['is not in its list', 'Nonsense'], ['has another case', swapCase(value)]);
  if (schema.maxLength !== undefined)
    faults.push(['is too long', value + 'A'.repeat(schema.maxLength + 1 - value.length)]);
  if (schema.pattern !== undefined) faults.push(['breaks its pattern', `\n ${value}`]);
  if (schema.format === 'date-time') faults.push(['is no time', 'yesterday']);
  return faults;
}

function swapCase(text: string): string {
  return text === text.toLowerCase() ? text.toUpperCase() : text.toLowerCase();
}

function valueAt(object: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], object);
}

function withValue(object: Json, path: Path, value: unknown): Json {
  const copy = structuredClone(object);
  const parent = valueAt(copy, path.slice(0, -1)) as Record<string | number, unknown>;
  const key = path.at(-1) ?? '';
  if (value === undefined) delete parent[key];
  else parent[key] = value;
  return copy;
}

function fieldName(path: Path): string {
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('');
}
