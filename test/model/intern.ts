/**
 * One instance and one small number for each value, so that states of the model are compared by numbers and results of
 * the product's pure functions are looked up instead of computed again. Values are JSON; members are put in order.
 *
 * Names that carry no meaning but equality (of intents, of versions) are tokens: `~` and a letter for the kind and a
 * digit. Two states that differ in such names only are one state: `renamed` gives a value with other tokens.
 */

/** One value. `core` is the same number for values that differ in tokens only. */
export interface Handle<T = unknown> {
  readonly id: number;
  readonly core: number;
  readonly tokens: readonly string[];
  readonly value: T;
}

const TOKEN = /~[a-z]\d/g;

const byRawText = new Map<string, Handle>();
const byText = new Map<string, Handle>();
const cores = new Map<string, number>();
const renamedHandles = new Map<string, Handle>();
const handles: string[] = [];

export function intern<T>(value: T): Handle<T> {
  const raw = JSON.stringify(value);
  const known = byRawText.get(raw);
  if (known !== undefined) return known as Handle<T>;
  const handle = ofText(JSON.stringify(inOrder(JSON.parse(raw))));
  byRawText.set(raw, handle);
  return handle as Handle<T>;
}

function ofText(text: string): Handle {
  const known = byText.get(text);
  if (known !== undefined) return known;
  const coreText = text.replace(TOKEN, '~');
  const core = cores.get(coreText) ?? cores.size + 1;
  cores.set(coreText, core);
  const handle: Handle = { id: byText.size + 1, core, tokens: text.match(TOKEN) ?? [], value: JSON.parse(text) };
  handles[handle.id] = text;
  byText.set(text, handle);
  return handle;
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, inOrder(member)]));
}

/** The same value with other tokens. */
export function renamed<T>(handle: Handle<T>, name: (token: string) => string): Handle<T> {
  const { tokens } = handle;
  let changed = false;
  let key = String(handle.core);
  for (const token of tokens) {
    const next = name(token);
    if (next !== token) changed = true;
    key += next;
  }
  if (!changed) return handle;
  const known = renamedHandles.get(key);
  if (known !== undefined) return known as Handle<T>;
  const made = ofText((handles[handle.id] as string).replace(TOKEN, name));
  renamedHandles.set(key, made);
  return made as Handle<T>;
}
