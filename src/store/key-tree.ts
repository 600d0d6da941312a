/**
 * Values by key, where a key is a path: a tree of its segments. Asking for everything below a path costs as
 * much as there is below it, however much there is beside it; a change costs the depth of its key.
 */
export class KeyTree<T> {
  readonly #root = newBranch<T>();

  get(key: string): T | undefined {
    return this.#find(key.split('/'))?.value;
  }

  set(key: string, value: T): void {
    let branch = this.#root;
    for (const segment of key.split('/')) {
      let child = branch.children.get(segment);
      if (child === undefined) {
        child = newBranch<T>();
        branch.children.set(segment, child);
      }
      branch = child;
    }
    branch.value = value;
  }

  delete(key: string): void {
    remove(this.#root, key.split('/'), 0);
  }

  clear(): void {
    this.#root.children.clear();
  }

  /** All values whose key begins with the text, in no particular order. */
  *below(prefix: string): Generator<T> {
    const segments = prefix.split('/');
    const begun = segments.pop() ?? '';
    for (const [segment, child] of this.#find(segments)?.children ?? []) {
      if (segment.startsWith(begun)) yield* values(child);
    }
  }

  #find(segments: readonly string[]): Branch<T> | undefined {
    let branch: Branch<T> | undefined = this.#root;
    for (const segment of segments) branch = branch?.children.get(segment);
    return branch;
  }
}

interface Branch<T> {
  value: T | undefined;
  readonly children: Map<string, Branch<T>>;
}

function newBranch<T>(): Branch<T> {
  return { value: undefined, children: new Map() };
}

function* values<T>(branch: Branch<T>): Generator<T> {
  if (branch.value !== undefined) yield branch.value;
  for (const child of branch.children.values()) yield* values(child);
}

/** Takes emptied branches along. */
function remove<T>(branch: Branch<T>, segments: readonly string[], depth: number): void {
  const segment = segments[depth];
  if (segment === undefined) {
    branch.value = undefined;
    return;
  }
  const child = branch.children.get(segment);
  if (child === undefined) return;
  remove(child, segments, depth + 1);
  if (child.value === undefined && child.children.size === 0) branch.children.delete(segment);
}
