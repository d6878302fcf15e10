// JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396). Documents are never changed: what a patch touches is copied,
// all else is shared with the document before. What cannot be applied throws.

type Fields = Record<string, unknown>;
type Container = Fields | unknown[];

/** One step of a JSON Patch. */
export interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** The document after a JSON Patch. */
export function applyJsonPatch(document: unknown, patch: Operation[]): unknown {
  return patch.reduce(step, document);
}

/** The document after a merge patch. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const merged = isFields(document) ? { ...document } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else put(merged, name, applyMergePatch(Object.hasOwn(merged, name) ? merged[name] : null, value));
  }
  return merged;
}

function step(document: unknown, { op, path, from = "", value }: Operation): unknown {
  switch (op) {
    case "add":
      return edit(document, path, insert, value);
    case "remove":
      return edit(document, path, remove);
    case "replace":
      return edit(document, path, replace, value);
    case "move":
      // Into itself: the place would be gone with what goes there.
      if (path.startsWith(`${from}/`)) break;
      return edit(edit(document, from, remove), path, insert, read(document, from));
    case "copy":
      return edit(document, path, insert, read(document, from));
    case "test":
      if (equal(read(document, path), value)) return document;
  }
  return fail();
}

/** A copy of the document, changed by `act` in the container that holds what `path` leads to. */
function edit(
  document: unknown,
  path: string,
  act: (container: Container, key: string, value: unknown) => void,
  value?: unknown,
): unknown {
  // The document itself is a member, too, so that it can be replaced: its key is the part before the first slash.
  const keys = parts(path);
  const last = keys.pop() as string;
  const holder: Fields = { "": document };
  let container: Container = holder;
  for (const key of keys) {
    const inner = member(container, key);
    const copied: Container = Array.isArray(inner) ? [...inner] : isFields(inner) ? { ...inner } : fail();
    put(container, key, copied);
    container = copied;
  }
  act(container, last, value);
  return holder[""];
}

function insert(container: Container, key: string, value: unknown): void {
  if (!Array.isArray(container)) put(container, key, value);
  else container.splice(key === "-" ? container.length : index(key, container.length), 0, value);
}

function remove(container: Container, key: string): void {
  member(container, key);
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
}

function replace(container: Container, key: string, value: unknown): void {
  member(container, key);
  put(container, key, value);
}

function read(document: unknown, path: string): unknown {
  return parts(path).reduce(member, { "": document });
}

/** A JSON Pointer (RFC 6901) in its parts; the first is always empty. */
function parts(path: string): string[] {
  const [first, ...rest] = path.split("/");
  return first ? fail() : ["", ...rest.map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"))];
}

function member(container: unknown, key: string): unknown {
  if (Array.isArray(container)) return container[index(key, container.length - 1)];
  return isFields(container) && Object.hasOwn(container, key) ? container[key] : fail();
}

function index(key: string, most: number): number {
  return /^(0|[1-9]\d*)$/.test(key) && Number(key) <= most ? Number(key) : fail();
}

/** Defines it, because assigning to `__proto__` would do something else. */
function put(container: Container, key: string, value: unknown): void {
  Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true });
}

function equal(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) || !isFields(one)) {
    return Array.isArray(one) && Array.isArray(other)
      ? one.length === other.length && one.every((item, at) => equal(item, other[at]))
      : one === other;
  }
  const names = Object.keys(one);
  return (
    isFields(other) &&
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && equal(one[name], other[name]))
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fail(): never {
  throw new Error("the patch does not fit the document");
}
