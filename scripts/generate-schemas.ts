/**
 * Writes docs/schemas/, one JSON schema for each kind and version, from crds/: what editors check manifests by as you
 * type (`# yaml-language-server: $schema=…` in the first line of a file). `node scripts/generate-schemas.ts` writes them; a
 * contract test fails when they drift. CEL rules are not in them: no editor evaluates those, the API server does.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const CRDS = fileURLToPath(new URL('../crds/', import.meta.url));
const TARGET = fileURLToPath(new URL('../docs/schemas/', import.meta.url));

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  [keyword: string]: unknown;
}
interface Definition {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

/** File names and their texts. */
export function schemaFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const file of readdirSync(CRDS).toSorted()) {
    const { spec } = parse(readFileSync(`${CRDS}${file}`, 'utf8')) as Definition;
    const { group, names, versions } = spec;
    for (const { name, schema } of versions) {
      const root = closed(schema.openAPIV3Schema);
      const properties = {
        ...root.properties,
        apiVersion: { type: 'string', const: `${group}/${name}` },
        kind: { type: 'string', const: names.kind },
        metadata: { type: 'object' },
      };
      const required = ['apiVersion', 'kind', 'metadata', 'spec'];
      const whole = { $schema: 'http://json-schema.org/draft-07/schema#', ...root, properties, required };
      files.set(`${names.kind.toLowerCase()}_${name}.json`, `${JSON.stringify(whole, null, 2)}\n`);
    }
  }
  return files;
}

/** As the API server reads it with strict validation: no field that the schema does not name. */
function closed(schema: Schema): Schema {
  const { properties, items, additionalProperties, ...rest } = schema;
  const kept = Object.entries(rest).filter(([keyword]) => !keyword.startsWith('x-kubernetes-'));
  return {
    ...Object.fromEntries(kept),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, closed(one)])),
      additionalProperties: false,
    }),
    ...(items && { items: closed(items) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: closed(additionalProperties) }),
  };
}

if (import.meta.main) {
  mkdirSync(TARGET, { recursive: true });
  for (const [name, text] of schemaFiles()) writeFileSync(`${TARGET}${name}`, text);
}
