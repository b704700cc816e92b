/** Reads the CRDs of this repository for tests: the definition, the schema at a path, and every schema in it. */
import { readFile } from 'node:fs/promises';

import { parse } from 'yaml';

export interface FieldSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  format?: string;
  required?: string[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: FieldSchema;
  properties?: Record<string, FieldSchema>;
  additionalProperties?: FieldSchema;
  'x-kubernetes-validations'?: { rule: string; message: string }[];
}

export interface Definition {
  metadata: { name: string };
  spec: {
    group: string;
    names: { kind: string; plural: string };
    versions: { name: string; schema: { openAPIV3Schema: FieldSchema } }[];
  };
}

/** `path` is relative to the repository. */
export async function readDefinition(path: string): Promise<Definition> {
  return parse(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')) as Definition;
}

export function rootSchema(definition: Definition): FieldSchema {
  const schema = definition.spec.versions[0]?.schema.openAPIV3Schema;
  if (schema === undefined) throw new Error(`${definition.metadata.name} has no schema`);
  return schema;
}

/** The schema of a field, e.g. `spec.captcha.type`. Throws when there is none. */
export function schemaAt(definition: Definition, path: string): FieldSchema {
  return path.split('.').reduce<FieldSchema>((schema, name) => {
    const next = schema.properties?.[name];
    if (next === undefined) throw new Error(`${definition.metadata.name} has no field ${path}`);
    return next;
  }, rootSchema(definition));
}

/** Every schema with its path; list items as `[]`, map values as `{}`. */
export function walkSchema(definition: Definition): { path: string; schema: FieldSchema }[] {
  return walk('', rootSchema(definition));
}

function walk(path: string, schema: FieldSchema): { path: string; schema: FieldSchema }[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, field]) =>
    walk(path === '' ? name : `${path}.${name}`, field),
  );
  const items = schema.items ? walk(`${path}[]`, schema.items) : [];
  const values = schema.additionalProperties ? walk(`${path}{}`, schema.additionalProperties) : [];
  return [{ path, schema }, ...below, ...items, ...values];
}
