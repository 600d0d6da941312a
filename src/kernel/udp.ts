/** UDP sockets that send from any address, also one that is no host's. */
import { createSocket } from 'node:dgram';
import { parseAddress } from '../model/address.ts';
import { toWire } from './netlink/ip.ts';
import { openUdpSocket } from './sockets.ts';
import { inNamespace } from './syscalls.ts';

export interface UdpPlace {
  readonly address: string;
  readonly port: number;
}

export interface UdpSocket {
  /** What cannot be sent is lost, as is what is lost on its way. */
  send(bytes: Buffer, to: UdpPlace): void;
  close(): void;
}

/** @throws WeftError `kernel` when another process has the port */
export function openUdp(
  namespaceFd: number,
  { address, port }: UdpPlace,
  receive: (bytes: Buffer, from: UdpPlace) => void,
): UdpSocket {
  const wire = toWire(parseAddress(address));
  const fd = inNamespace(namespaceFd, () => openUdpSocket(wire, port));
  const socket = createSocket(wire.family === 4 ? 'udp4' : 'udp6');
  // The kernel reports here that an earlier datagram could not be delivered, which nobody asked.
  socket.on('error', () => undefined);
  socket.on('message', (bytes, from) => receive(bytes, from));
  socket.bind({ fd });
  socket.unref();
  return {
    send: (bytes, to) => socket.send(bytes, to.port, to.address, () => undefined),
    close: () => void socket.close(),
  };
}
