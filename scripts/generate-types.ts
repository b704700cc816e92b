/**
 * Writes `src/api/generated/*.ts`: the spec and status of each CRD in `crds/` as TypeScript types, and what a person can
 * say in the spec of a task as a table (the flags of `kubectl captcha solve` are made of it). The YAML is the source; a contract test fails when the files here differ from what this script would write.
 * Run by `npm run generate:types`; the functions are used by that test.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { parse } from 'yaml';

const ROOT = new URL('../', import.meta.url);

/** Each CRD with the file that its types go to. Paths are relative to the repository. */
export const SOURCES = [
  { crd: 'crds/captchatask.yaml', target: 'src/api/generated/captchatask.ts' },
  { crd: 'crds/deadletter.yaml', target: 'src/api/generated/deadletter.ts' },
] as const;

const TASK_CRD = SOURCES[0].crd;
export const FIELDS_TARGET = 'src/api/generated/fields.ts';

interface Schema {
  description?: string;
  default?: unknown;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema;
  type?: string;
  enum?: string[];
}
interface CustomResourceDefinition {
  spec: { names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: Schema } }[] };
}

/** The text of the types for one CRD: `<Kind>Spec` and `<Kind>Status`, with the descriptions as comments. */
export async function generateTypes(crd: string): Promise<string> {
  const definition = parse(await readFile(new URL(crd, ROOT), 'utf8')) as CustomResourceDefinition;
  const { kind } = definition.spec.names;
  const root = definition.spec.versions[0]?.schema.openAPIV3Schema;
  const parts = [`/** Generated from \`${crd}\` by \`npm run generate:types\`. Change the CRD, not this file. */\n`];
  for (const part of ['spec', 'status'] as const) {
    const schema = root?.properties?.[part];
    if (schema === undefined) throw new Error(`${crd} has no schema for ${part}`);
    const name = `${kind}${part === 'spec' ? 'Spec' : 'Status'}`;
    parts.push(
      await compile(asStored(schema) as JSONSchema, name, {
        bannerComment: '',
        additionalProperties: false,
        ignoreMinAndMaxItems: true,
        style: { singleQuote: true, printWidth: 120 },
      }),
    );
  }
  return parts.join('\n');
}

/** What TypeScript can express; bounds and patterns are left out, so that they do not end up in comments. */
const KEPT = ['type', 'description', 'enum'] as const;

/** The schema of an object as the API server stores it: a field with a default is always there. */
function asStored(schema: Schema): Schema {
  const stored: Schema = {};
  for (const keyword of KEPT) if (schema[keyword] !== undefined) Object.assign(stored, { [keyword]: schema[keyword] });
  if (schema.items) stored.items = asStored(schema.items);
  if (schema.additionalProperties) stored.additionalProperties = asStored(schema.additionalProperties);
  if (schema.properties) {
    const fields = Object.entries(schema.properties);
    const defaulted = fields.filter(([, field]) => field.default !== undefined).map(([name]) => name);
    stored.required = [...(schema.required ?? []), ...defaulted];
    stored.properties = Object.fromEntries(fields.map(([name, field]) => [name, asStored(field)]));
  }
  return stored;
}

interface Field {
  path: string[];
  kind: 'text' | 'integer' | 'boolean' | 'list' | 'map' | 'keyRef';
  values?: string[];
  required?: true;
  description: string;
}

/** The text of the table: the fields of a task's spec that hold one value, and those of each captcha. */
export async function generateFields(): Promise<string> {
  const definition = parse(await readFile(new URL(TASK_CRD, ROOT), 'utf8')) as CustomResourceDefinition;
  const spec = definition.spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'];
  const { captcha, ...others } = spec?.properties ?? {};
  const { type, ...members } = captcha?.properties ?? {};
  const captchas = (type?.enum ?? []).map((name) => {
    const [member, schema] = Object.entries(members).find(([key]) => key.toLowerCase() === name.toLowerCase()) ?? [];
    if (member === undefined || schema === undefined) throw new Error(`${TASK_CRD} has no member for ${name}`);
    return [name, { member, description: schema.description ?? '', fields: fieldsOf(schema, []) }] as const;
  });
  const tables = { SPEC_FIELDS: fieldsOf({ properties: others }, []), CAPTCHA_FIELDS: Object.fromEntries(captchas) };
  return `/** Generated from \`${TASK_CRD}\` by \`npm run generate:types\`. Change the CRD, not this file. */

/** One value of a task's spec. A \`keyRef\` is a name and a key in it. */
export interface SchemaField {
  path: readonly string[];
  kind: 'text' | 'integer' | 'boolean' | 'list' | 'map' | 'keyRef';
  values?: readonly string[];
  required?: boolean;
  description: string;
}

/** Below \`spec\`, the captcha aside. */
export const SPEC_FIELDS: readonly SchemaField[] = ${JSON.stringify(tables.SPEC_FIELDS, null, 2)};

/** Below the member of \`spec.captcha\` that the type names. */
export const CAPTCHA_FIELDS: Readonly<
  Record<string, { member: string; description: string; fields: readonly SchemaField[] }>
> = ${JSON.stringify(tables.CAPTCHA_FIELDS, null, 2)};
`;
}

function fieldsOf(schema: Schema, above: string[]): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = [...above, name];
    const kind = kindOf(field);
    if (kind === undefined) return fieldsOf(field, path);
    const required = above.length === 0 && schema.required?.includes(name) === true;
    return [
      {
        path,
        kind,
        ...(field.enum === undefined ? {} : { values: field.enum }),
        ...(required ? { required } : {}),
        description: field.description ?? '',
      },
    ];
  });
}

/** Undefined: an object whose parts are fields of their own. */
function kindOf({ type, properties, additionalProperties }: Schema): Field['kind'] | undefined {
  if (type === 'integer' || type === 'boolean') return type;
  if (type === 'array') return 'list';
  if (additionalProperties !== undefined) return 'map';
  if (properties === undefined) return 'text';
  return Object.keys(properties).toSorted().join() === 'key,name' ? 'keyRef' : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { crd, target } of SOURCES) {
    await writeFile(new URL(target, ROOT), await generateTypes(crd));
    console.log(`${target} written from ${crd}`);
  }
  await writeFile(new URL(FIELDS_TARGET, ROOT), await generateFields());
  console.log(`${FIELDS_TARGET} written from ${TASK_CRD}`);
}
