/** The packet filter of the host, and that it routes: what its networks need of both, together. */
import type { Peer } from '../fabric/fabric.ts';
import { hostTable, segmentsOnlyTable } from '../fabric/host-table.ts';
import { isTunnelInUse } from '../fabric/reach.ts';
import { hostSets } from '../fabric/tunnel-guard.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { NftTable } from '../kernel/nft.ts';
import { type Family, familiesOf } from '../model/address.ts';
import type { Network } from '../model/records.ts';
import { differencesOf } from './differences.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { isShared } from './networks.ts';
import type { Views } from './views.ts';

export interface HostFilter {
  /** @returns how many things were not as they should be */
  bringInLine(): Promise<number>;
  /** What that would put right, in words; writes nothing. */
  differences(): Promise<string[]>;
}

export function hostFilterOf(
  kernel: Kernel,
  views: Views,
  neighbourhood: Pick<Neighbourhood, 'peers'>,
  /** Whether the store is known to lack what other hosts have. */
  keepsAll: () => boolean,
): HostFilter {
  const { inet } = kernel.host.filters;

  function members(): Network[] {
    return views.networks().filter(isShared);
  }

  /** Of what the host routes: subnets of networks, and what comes by legs. */
  function routedFamilies(): Family[] {
    const networks = [...members(), ...views.legs().map(({ network }) => network)];
    return familiesOf(networks.flatMap(({ pools }) => pools));
  }

  /** Whether the host routes what is of networks. */
  function isRouter(): boolean {
    return members().length > 0 || views.legs().length > 0;
  }

  /** The host's table as it should be, to be asked for when nothing can come between; undefined: there should be none. */
  async function desiredHostTable(): Promise<(() => NftTable) | undefined> {
    if (views.networks().length === 0) return undefined;
    const peers = [...(await neighbourhood.peers()).values()];
    const outside = {
      uplinks: await uplinkNames(peers),
      tunnelInUse: isTunnelInUse(members(), peers),
      hosts: await hostAddresses(peers),
    };
    const table = isRouter() ? hostTable : segmentsOnlyTable;
    return () => table(views.hostTable(outside));
  }

  /**
   * Networks that share the host's routing need the host to route, to let them through, and to keep them apart; of all,
   * tunnels are the hosts' alone.
   */
  async function bringInLine(): Promise<number> {
    const isRouting = isRouter();
    const table = await desiredHostTable();
    if (!isRouting) await kernel.removeForwardAccept();
    if (table === undefined) {
      await inet.remove();
      return 0;
    }
    const results = [
      isRouting && kernel.enableForwarding(routedFamilies()).changed,
      isRouting && (await kernel.ensureForwardAccept()).changed,
      await inet.write(table),
    ];
    return results.filter((changed) => changed).length;
  }

  /** Of the other hosts; those that the store has forgotten included, as long as they may tell it again. */
  async function hostAddresses(peers: readonly Peer[]): Promise<string[]> {
    const known = peers.map(({ address }) => address);
    if (!keepsAll()) return known;
    const sets = (await inet.read())?.sets ?? [];
    const before = sets
      .filter(({ name }) => hostSets.includes(name))
      .flatMap(({ elements }) => [...elements]);
    return [...new Set([...known, ...before])];
  }

  /** The links by which the other hosts are reached, and reach this one. */
  async function uplinkNames(peers: readonly Peer[]): Promise<string[]> {
    const { address } = views.underlay();
    const own = (await kernel.addresses()).filter((candidate) => candidate.address === address);
    const paths = peers.flatMap(({ path }) => path ?? []);
    return [...new Set([...own, ...paths].map(({ link }) => link))];
  }

  async function differences(): Promise<string[]> {
    const table = await desiredHostTable();
    if (table === undefined) {
      return (await inet.read()) === undefined
        ? []
        : ['the host has a packet filter of weft, and no network'];
    }
    const found = await differencesOf(inet, 'the host', table);
    if (!isRouter()) return found;
    if (!(await kernel.hasForwardAccept())) {
      found.push('the FORWARD chain of iptables does not let weft through');
    }
    if (!kernel.forwards(routedFamilies())) found.push('the host does not forward (net.ipv4.ip_forward)');
    return found;
  }

  return { bringInLine, differences };
}
