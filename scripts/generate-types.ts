/**
 * Writes `src/api/generated/*.ts`: the spec and status of each CRD in `crds/` as TypeScript types. The YAML is the
 * source; a contract test fails when the files here differ from what this script would write.
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { crd, target } of SOURCES) {
    await writeFile(new URL(target, ROOT), await generateTypes(crd));
    console.log(`${target} written from ${crd}`);
  }
}
