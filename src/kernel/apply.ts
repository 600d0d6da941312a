/** Making the kernel do a list of changes, in as few sends as their dependencies allow. */
import { explain, WeftError } from '../errors.ts';
import type { ShortcutAccess } from './bpf/shortcut.ts';
import { describe, linksNeeded } from './change.ts';
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENODEV, ENOENT, ESRCH } from './errno.ts';
import { doomedGroup } from './mark.ts';
import { deleteAddress, putAddress } from './netlink/address.ts';
import {
  type Birthplace,
  createLink,
  decodeLink,
  deleteLink,
  deleteLinks,
  finishLink,
  getLink,
  type KernelLink,
} from './netlink/link.ts';
import { explainVerdict, type Request, type Verdict } from './netlink/message.ts';
import { deleteFdbEntry, deleteNeighbour, putFdbEntry, putNeighbour } from './netlink/neighbour.ts';
import { deleteRoute, putRoute, type RouteOrigin } from './netlink/route.ts';
import { deleteRule, putRule } from './netlink/rule.ts';
import { type Answer, requestsPerSend, type SocketPool } from './netlink/socket.ts';
import type { Change, Link } from './state.ts';

/** Where changes are applied. */
export interface Target {
  readonly sockets: SocketPool;
  readonly shortcut: ShortcutAccess;
  /** For a namespace of a network's own: itself, and the host's, where some things are born. */
  readonly beside?: {
    readonly namespaceFd: number;
    readonly hostSockets: SocketPool;
    readonly hostFd: number;
  };
  /** What weft's routes and rules bear. */
  readonly mark: RouteOrigin;
  /** Which routes and rules a deletion may hit. */
  readonly deletable: RouteOrigin;
}

type LinkChange = Extract<Change, { kind: 'link' }>;
type OtherChange = Exclude<Change, LinkChange>;

/** The kernel waits for all links of one deletion at once, and nobody else changes links meanwhile. */
const linksPerDeletion = 64;

/** Whose creation may find it there; of a shortcut, what it hangs on. */
const mayExist: readonly Change['kind'][] = ['rule', 'shortcut'];

/** A deletion that finds nothing has nothing to do. */
const alreadyGone = [ENOENT, ENODEV, ESRCH, EADDRNOTAVAIL];

/**
 * @throws AggregateError of WeftError `kernel`, one for each change that failed; or one WeftError `kernel` when
 * the kernel cannot be asked at all
 */
export async function applyChanges(changes: readonly Change[], target: Target): Promise<void> {
  target.sockets.assertOpen();
  const application = new Application(target);
  for (const run of runsOf(changes)) await application.run(run);
  await application.flush();
  const { failures } = application;
  if (failures.size === 0) return;
  const many = failures.size === 1 ? 'A change' : `${failures.size} changes`;
  throw new AggregateError(failures.values(), `${many} of ${changes.length} failed in the kernel`);
}

type Run =
  | { readonly of: 'link puts'; readonly changes: LinkChange[] }
  | { readonly of: 'link deletes'; readonly changes: LinkChange[] }
  | { readonly of: 'others'; readonly changes: OtherChange[] };

/** Cuts the list where links begin or cease to exist: only there does a change depend on those before it. */
function runsOf(changes: readonly Change[]): Run[] {
  const runs: Run[] = [];
  for (const change of changes) {
    const last = runs.at(-1);
    if (change.kind !== 'link') {
      if (last?.of === 'others') last.changes.push(change);
      else runs.push({ of: 'others', changes: [change] });
    } else {
      const of = change.do === 'put' ? 'link puts' : 'link deletes';
      if (last?.of === of) last.changes.push(change);
      else runs.push({ of, changes: [change] });
    }
  }
  return runs;
}

class Application {
  readonly failures = new Map<Change, WeftError>();
  readonly #target: Target;
  readonly #indexes = new Map<string, number>();
  readonly #queue: { readonly change: Change; readonly request: Request }[] = [];

  constructor(target: Target) {
    this.#target = target;
  }

  async run(run: Run): Promise<void> {
    switch (run.of) {
      case 'link puts':
        await this.flush();
        return this.#putLinks(run.changes);
      case 'link deletes':
        await this.flush();
        return this.#deleteLinks(run.changes);
      case 'others':
        await this.#learn(run.changes.flatMap(linksNeeded));
        if (run.changes.some(isOfShortcut)) await this.#target.shortcut.look(this.#target.sockets);
        for (const change of run.changes) {
          // An entry is made at once, and not before what it leads to.
          if (change.kind === 'port' || change.kind === 'prefix') await this.flush();
          this.#enqueue(change);
          // A long list is put into bytes as it is sent, not all at once: others wait for this thread too.
          if (this.#queue.length >= requestsPerSend) await this.flush();
        }
    }
  }

  async flush(): Promise<void> {
    const queue = this.#queue.splice(0);
    const answers = await this.#target.sockets.ask(queue.map(({ request }) => request));
    for (const [position, { change }] of queue.entries()) this.#judge(change, answers[position]);
  }

  #judge(change: Change, verdict: Verdict | undefined): void {
    const errno = verdict?.errno ?? 0;
    if (verdict === undefined || errno === 0) return;
    if (change.do === 'delete' && alreadyGone.includes(errno)) return;
    // Its link has nothing that it could hang on.
    if (change.do === 'delete' && change.kind === 'shortcut' && errno === EINVAL) return;
    if (change.do === 'put' && mayExist.includes(change.kind) && errno === EEXIST) return;
    this.#fail(change, explainVerdict(verdict));
  }

  /** The first failure of a change is the one that explains the others. */
  #fail(change: Change, why: string): void {
    if (this.failures.has(change)) return;
    const verb = change.do === 'put' ? 'add' : 'delete';
    this.failures.set(change, new WeftError('kernel', `could not ${verb} ${describe(change)}: ${why}`));
  }

  /** Looks up the indexes of links not met so far. */
  async #learn(names: readonly string[]): Promise<void> {
    const unknown = [...new Set(names)].filter((name) => !this.#indexes.has(name));
    this.#note(await this.#target.sockets.ask(unknown.map((name) => getLink({ name }))));
  }

  #note(answers: readonly Answer[]): Map<string, KernelLink> {
    const links = answers.flatMap(({ content }) => content.map(decodeLink));
    for (const { name, index } of links) this.#indexes.set(name, index);
    return new Map(links.map((link) => [link.name, link]));
  }

  #enqueue(change: OtherChange): void {
    const indexes = linksNeeded(change).map((name) => this.#indexes.get(name));
    if (indexes.includes(undefined)) {
      if (change.do === 'put') this.#fail(change, `there is no link ${linksNeeded(change)}`);
      return;
    }
    try {
      const requests = requestsFor(change, indexes[0] ?? 0, this.#target);
      this.#queue.push(...requests.map((request) => ({ change, request })));
    } catch (error) {
      // An address that is none must not keep all others from being set.
      this.#fail(change, explain(error));
    }
  }

  /**
   * Creates those that are missing and looks at all of them; then, knowing what each is like, leaves what
   * remains to be done to it in the queue, to be sent with whatever comes next.
   */
  async #putLinks(changes: readonly LinkChange[]): Promise<void> {
    const { sockets, beside } = this.#target;
    const verdicts = new Map<LinkChange, Verdict>();
    const create = async (from: SocketPool, born: readonly LinkChange[], look: readonly string[]) => {
      const births = born.map(({ object }) => createLink(object, birthplaceOf(object, this.#target)));
      const answers = await from.ask([...births, ...look.map((name) => getLink({ name }))]);
      born.forEach((change, position) => {
        const verdict = answers[position];
        if (verdict !== undefined) verdicts.set(change, verdict);
      });
      return this.#note(answers.slice(births.length));
    };

    const creatable = changes.filter(({ object }) => object.kind !== 'veth' || object.peer !== undefined);
    const abroad = creatable.filter(({ object }) => beside !== undefined && object.kind === 'vxlan');
    const home = creatable.filter((change) => !abroad.includes(change));
    if (beside !== undefined) await create(beside.hostSockets, abroad, []);
    const names = changes.flatMap((change) => [change.object.name, ...linksNeeded(change)]);
    const links = await create(sockets, home, [...new Set(names)]);
    for (const change of changes) this.#finish(change, links.get(change.object.name), verdicts.get(change));
  }

  #finish(change: LinkChange, actual: KernelLink | undefined, birth: Verdict | undefined): void {
    const desired = change.object;
    const masterIndex = desired.master === undefined ? 0 : this.#indexes.get(desired.master);
    if (birth !== undefined && birth.errno !== 0 && birth.errno !== EEXIST) {
      this.#fail(change, explainVerdict(birth));
    } else if (actual === undefined) {
      this.#fail(change, whyMissing(birth));
    } else if (actual.kind !== desired.kind) {
      this.#fail(change, `a link of that name is there and is no ${desired.kind}`);
    } else if (masterIndex === undefined) {
      this.#fail(change, `there is no link ${desired.master}`);
    } else {
      const requests = finishLink(actual, desired, masterIndex);
      this.#queue.push(...requests.map((request) => ({ change, request })));
    }
  }

  async #deleteLinks(changes: readonly LinkChange[]): Promise<void> {
    const { sockets } = this.#target;
    for (let first = 0; first < changes.length; first += linksPerDeletion) {
      const doomed = changes.slice(first, first + linksPerDeletion);
      const names = doomed.map(({ object }) => object.name);
      const [only, ...others] = names;
      if (only === undefined) return;
      const requests = others.length === 0 ? [deleteLink(only)] : deleteLinks(names, doomedGroup);
      const answers = await sockets.ask(requests);
      doomed.forEach((change, position) => {
        this.#judge(change, answers[position]);
        this.#judge(change, answers.at(-1));
        this.#indexes.delete(change.object.name);
      });
    }
  }
}

/** A vxlan device keeps its UDP socket in the namespace of whoever asks for it: the host's. */
function birthplaceOf(link: Link, { beside }: Target): Birthplace {
  if (beside === undefined || link.kind === 'bridge') return {};
  return link.kind === 'vxlan' ? { linkNamespaceFd: beside.namespaceFd } : { peerNamespaceFd: beside.hostFd };
}

/** Why a link that could not be created is not there either. */
function whyMissing(birth: Verdict | undefined): string {
  if (birth === undefined) return 'it does not exist, and without its peer it cannot be made';
  const taken = birth.text === undefined ? 'its name, or that of its peer, is taken by another link' : '';
  return [taken, explainVerdict(birth)].filter((part) => part !== '').join(': ');
}

/** What remains to be asked for; entries of the shortcut are made here. */
function requestsFor(change: OtherChange, linkIndex: number, target: Target): Request[] {
  const { mark, deletable, shortcut } = target;
  const put = change.do === 'put';
  switch (change.kind) {
    case 'address':
      return [(put ? putAddress : deleteAddress)(change.object, linkIndex)];
    case 'route':
      return [put ? putRoute(change.object, linkIndex, mark) : deleteRoute(change.object, deletable)];
    case 'rule':
      return [put ? putRule(change.object, mark.protocol) : deleteRule(change.object, deletable.protocol)];
    case 'neighbour':
      return [(put ? putNeighbour : deleteNeighbour)(change.object, linkIndex)];
    case 'fdb':
      return [(put ? putFdbEntry : deleteFdbEntry)(change.object, linkIndex)];
    case 'shortcut':
      return put ? shortcut.attach(linkIndex, change.object.side) : [shortcut.detach(linkIndex)];
    case 'port':
    case 'prefix':
      if (put) shortcut.put(change.kind, change.object, linkIndex);
      else shortcut.delete(change.kind, change.object);
      return [];
  }
}

function isOfShortcut({ kind }: Change): boolean {
  return kind === 'shortcut' || kind === 'port' || kind === 'prefix';
}
