import type { Family } from '../model/address.ts';
import { applyChanges, type Target } from './apply.ts';
import { forgetConnections } from './connections.ts';
import type { SocketPool } from './netlink/socket.ts';
import type { NftTable } from './nft.ts';
import { type PacketFilter, packetFilter } from './packet-filter.ts';
import type { Ownership } from './read.ts';
import { hasLink, readNamespace } from './read.ts';
import type { Change, NamespaceState } from './state.ts';

export interface Namespace {
  /** Name of its pin; `host` for the host's. */
  readonly name: string;
  /**
   * What weft has there. In the host's namespace: links named `weft...` (the containers' ends excepted), what
   * sits on them, and routes and rules that bear weft's protocol number. In a namespace of weft's own:
   * everything but loopback and what the kernel makes by itself. A veth is read without its `peer`.
   */
  read(): Promise<NamespaceState>;
  /** @throws WeftError `kernel` when the kernel cannot be asked */
  hasLink(name: string): Promise<boolean>;
  /**
   * Applies in order and goes on after a failure.
   * @throws AggregateError of WeftError `kernel`, one for each change that failed; or one WeftError `kernel`
   * when the kernel cannot be asked at all
   */
  apply(changes: readonly Change[]): Promise<void>;
  /**
   * Makes the kernel forget the connections of addresses that are nobody's now, so that who has them next is not
   * taken for who had them.
   */
  forget(addresses: readonly string[]): Promise<void>;
  /** weft's nftables table of each family. */
  readonly filters: Readonly<Record<NftTable['family'], PacketFilter>>;
}

/** How the packet filter of a namespace is reached. */
export interface FilterAccess {
  readonly sockets: SocketPool;
  /** File of the namespace, if not the current one. */
  readonly file: string | undefined;
}

export function createNamespace(
  name: string,
  target: Target,
  ownership: Ownership,
  families: readonly Family[],
  { sockets, file }: FilterAccess,
): Namespace {
  return {
    name,
    read: () => readNamespace(target.sockets, families, ownership, target.shortcut),
    hasLink: (name) => hasLink(target.sockets, name),
    apply: (changes) => applyChanges(changes, target),
    forget: async (addresses) => {
      for (const address of addresses) await forgetConnections(sockets, address);
    },
    filters: {
      inet: packetFilter({ family: 'inet', sockets, namespace: file }),
      bridge: packetFilter({ family: 'bridge', sockets, namespace: file }),
    },
  };
}
