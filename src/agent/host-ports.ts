/**
 * Ports of this host that are to lead to containers: which of those that will do is free, and holding it. A port is
 * the same for all addresses of a container.
 */
import { WeftError } from '../errors.ts';
import type { Publication } from '../fabric/publication.ts';
import type { HeldPort, Kernel } from '../kernel/kernel.ts';
import { type Family, parseAddress, printAddress } from '../model/address.ts';
import type { PortMapping } from './calls.ts';
import type { Ledger, LedgerEndpoint } from './ledger.ts';

export interface HostPorts {
  /**
   * One that is free of those that will do. Every port that is held is also put among the taken.
   * @throws WeftError `conflict` when none is, `invalid` when the container has no address for it
   */
  choose(endpoint: LedgerEndpoint, mapping: PortMapping, taken: HeldPort[]): Publication[];
  /** One that was chosen before. */
  hold(publication: Publication): HeldPort;
}

/** How often a free port is looked for that is free in both families. */
const choices = 16;

const everyAddress = { 4: '0.0.0.0', 6: '::' } as const satisfies Record<Family, string>;

interface Wish {
  readonly protocol: number;
  readonly port: number;
  readonly hostAddress: string | undefined;
  /** Of the network, where it has one. */
  readonly leg: number | undefined;
}

export function portsOf(kernel: Pick<Kernel, 'holdPort'>, ledger: Ledger): HostPorts {
  function choose(
    { addresses, network }: LedgerEndpoint,
    { protocol, port, hostAddress: wished, hostPort, hostPortEnd }: PortMapping,
    taken: HeldPort[],
  ): Publication[] {
    const leg = ledger.networks.get(network)?.leg;
    const asked = wished === undefined ? undefined : parseAddress(wished);
    const hostAddress = asked?.value === 0n ? undefined : asked && printAddress(asked);
    const targets = addresses.filter((address) => !asked || parseAddress(address).family === asked.family);
    if (targets.length === 0) {
      throw new WeftError(
        'invalid',
        `port ${port} cannot be published at ${wished}: the container has no such address`,
      );
    }
    const candidates =
      hostPort === 0
        ? Array.from({ length: choices }, () => 0)
        : Array.from({ length: hostPortEnd - hostPort + 1 }, (_, offset) => hostPort + offset);
    let refusal: unknown;
    for (const candidate of candidates) {
      try {
        const chosen = holdForAll(targets, { protocol, port: candidate, hostAddress, leg });
        taken.push(...chosen);
        return targets.map((address) => ({
          protocol,
          ...(hostAddress === undefined ? {} : { hostAddress }),
          hostPort: chosen[0]?.port ?? candidate,
          address,
          port,
        }));
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  function holdForAll(targets: readonly string[], wish: Wish): HeldPort[] {
    const ports: HeldPort[] = [];
    try {
      for (const target of targets) {
        const port = ports[0]?.port ?? wish.port;
        refuseClash({ ...wish, port });
        ports.push(holdOne(target, { ...wish, port }));
      }
      return ports;
    } catch (error) {
      for (const port of ports) port.release();
      throw error;
    }
  }

  function holdOne(target: string, { protocol, port, hostAddress }: Omit<Wish, 'leg'>): HeldPort {
    const address = hostAddress ?? everyAddress[parseAddress(target).family];
    return kernel.holdPort({ protocol, address, port });
  }

  /**
   * Of a protocol that the host does not speak, weft itself must know what it has published; and a leg has each port
   * once, whatever address of the host leads to it.
   */
  function refuseClash(wish: Wish): void {
    const holder = ledger.endpoints.all().find(({ network, published = [] }) => {
      const sameLeg = wish.leg !== undefined && ledger.networks.get(network)?.leg === wish.leg;
      return published.some(
        ({ protocol, hostPort, hostAddress = wish.hostAddress }) =>
          protocol === wish.protocol &&
          hostPort === wish.port &&
          (sameLeg || wish.hostAddress === undefined || hostAddress === wish.hostAddress),
      );
    });
    if (holder === undefined) return;
    throw new WeftError(
      'conflict',
      `port ${wish.port} of this host leads to ${holder.addresses.join(' and ')} already; publish another`,
    );
  }

  return {
    choose,
    hold: ({ protocol, hostAddress, hostPort, address }) =>
      holdOne(address, { protocol, port: hostPort, hostAddress }),
  };
}
