/**
 * Values by key, where a key is a path: a tree of folders. Asking for everything below a path costs as much as there is
 * below it, however much there is beside it. Nearly all of a large cluster's keys are in a few folders, so a value
 * costs no more than an entry of a map, by its whole key.
 */
export class KeyTree<T> {
  /** By path, which ends in a slash; that of the outermost is empty. */
  readonly #folders = new Map([['', newFolder<T>()]]);

  get(key: string): T | undefined {
    return this.#folders.get(pathOf(key))?.values.get(key);
  }

  set(key: string, value: T): void {
    this.#make(pathOf(key)).values.set(key, value);
  }

  delete(key: string): void {
    const path = pathOf(key);
    this.#folders.get(path)?.values.delete(key);
    this.#clear(path);
  }

  /** All values whose key begins with the text, in no particular order. */
  *below(prefix: string): Generator<T> {
    const { values, inner } = this.#folders.get(pathOf(prefix)) ?? newFolder<T>();
    for (const [key, value] of values) if (key.startsWith(prefix)) yield value;
    for (const [path, folder] of inner) if (path.startsWith(prefix)) yield* allIn(folder);
  }

  #make(path: string): Folder<T> {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const folder = newFolder<T>();
    this.#folders.set(path, folder);
    this.#make(outside(path)).inner.set(path, folder);
    return folder;
  }

  /** Takes away what is empty, and what that leaves empty. */
  #clear(path: string): void {
    const folder = this.#folders.get(path);
    if (path === '' || folder === undefined || folder.values.size + folder.inner.size > 0) return;
    this.#folders.delete(path);
    this.#folders.get(outside(path))?.inner.delete(path);
    this.#clear(outside(path));
  }
}

interface Folder<T> {
  /** By key. */
  readonly values: Map<string, T>;
  /** Directly below, by path. */
  readonly inner: Map<string, Folder<T>>;
}

function newFolder<T>(): Folder<T> {
  return { values: new Map(), inner: new Map() };
}

/** Of the folder that the key is in. */
function pathOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

/** Of the folder that the folder of this path is in. */
function outside(path: string): string {
  return pathOf(path.slice(0, -1));
}

function* allIn<T>({ values, inner }: Folder<T>): Generator<T> {
  yield* values.values();
  for (const folder of inner.values()) yield* allIn(folder);
}
