/** Holding a port of the host, so that nothing else takes what is forwarded to a container. */
import { closeSync } from 'node:fs';
import { WeftError } from '../errors.ts';
import { parseAddress } from '../model/address.ts';
import { toWire } from './netlink/ip.ts';
import { holdSocket } from './sockets.ts';
import { inNamespace } from './syscalls.ts';

export interface PortWish {
  /** By IP's number: TCP 6, UDP 17, SCTP 132. */
  readonly protocol: number;
  /** `0.0.0.0` and `::` are all of their family. */
  readonly address: string;
  /** 0: any that is free. */
  readonly port: number;
}

export interface HeldPort {
  readonly port: number;
  release(): void;
}

const protocolNames: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/**
 * Nothing is ever received through it: packets are forwarded before they get there.
 * @throws WeftError `conflict` when another process has the port, `invalid` when the host has no such address
 */
export function holdPort(namespaceFd: number, { protocol, address, port }: PortWish): HeldPort {
  const { family, bytes } = toWire(parseAddress(address));
  const held = inNamespace(namespaceFd, () => holdSocket({ protocol, family, bytes, port }));
  const name = `${address}:${port}/${protocolNames[protocol] ?? protocol}`;
  switch (held.result) {
    case 'held':
      return { port: held.port, release: () => closeSync(held.fd) };
    case 'in use':
      throw new WeftError(
        'conflict',
        `port ${name} of this host is in use; publish another, or stop who has it`,
      );
    case 'no such address':
      throw new WeftError(
        'invalid',
        `port ${name} cannot be published: ${address} is not an address of this host`,
      );
    case 'unknown protocol':
      // The host cannot speak it, so nobody on it can take the port; forwarding does not depend on that.
      if (port !== 0) return { port, release: () => {} };
      throw new WeftError('invalid', `this host cannot choose a port of ${name}; name one`);
  }
}
