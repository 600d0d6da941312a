/**
 * Where this host probes from, and is probed: one UDP socket for each of its addresses that others ask. It answers
 * them by itself, whatever this host finds out meanwhile.
 */
import { explain } from '../errors.ts';
import type { UdpPlace, UdpSocket } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import { type ProbeMessage, parseProbe, renderProbe } from './probe-message.ts';

export interface ProbePortOptions {
  readonly hostId: string;
  readonly port: number;
  /** This host's address that the others know. */
  readonly ownAddress: () => string;
  /** Where another host is to be answered; undefined: it is none. */
  readonly addressOf: (hostId: string) => string | undefined;
  /** Whether that is an address to be asked from, and so to answer from. */
  readonly isSource: (address: string) => boolean;
  readonly openUdp: (at: UdpPlace, receive: (bytes: Buffer, from: UdpPlace) => void) => UdpSocket;
  readonly log: Log;
}

export class ProbePort {
  readonly #options: ProbePortOptions;
  readonly #hear: (answer: ProbeMessage, source: string) => void;
  /** By the address they are bound to. */
  readonly #sockets = new Map<string, UdpSocket>();

  /** @param hear is told what comes back for questions of this host, and from which address */
  constructor(options: ProbePortOptions, hear: (answer: ProbeMessage, source: string) => void) {
    this.#options = options;
    this.#hear = hear;
  }

  /** @param source the address to ask from, and to be answered at */
  ask(
    from: ProbeMessage['from'],
    { number, source, to }: { readonly number: string; readonly source: string; readonly to: string },
  ): void {
    this.#send({ kind: 'ask', from, asker: this.#options.hostId, number }, source, to);
  }

  /** At its own address as it is now; that of an earlier one is closed, with those that have no more use. */
  listen(): void {
    const own = this.#options.ownAddress();
    for (const [address, socket] of this.#sockets) {
      if (address === own || this.#options.isSource(address)) continue;
      socket.close();
      this.#sockets.delete(address);
    }
    this.#socket(own);
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #receive(bytes: Buffer, { address }: UdpPlace): void {
    const message = parseProbe(bytes);
    if (message === undefined) return;
    try {
      if (message.kind === 'ask') this.#answer(message, address);
      else if (message.asker === this.#options.hostId) this.#hear(message, address);
    } catch (error) {
      // Lost, as any datagram may be.
      this.#options.log.debug({ reason: explain(error) }, 'cannot answer a probe');
    }
  }

  /** As it was asked: from the same address, to where that host is known to be. */
  #answer({ from, asker, number }: ProbeMessage, source: string): void {
    const { addressOf, isSource, ownAddress } = this.#options;
    const to = addressOf(asker);
    if (to === undefined || !(from === 'own' ? source === to : isSource(source))) return;
    this.#send({ kind: 'answer', from, asker, number }, from === 'own' ? ownAddress() : source, to);
  }

  #send(message: ProbeMessage, source: string, to: string): void {
    this.#socket(source).send(renderProbe(message), { address: to, port: this.#options.port });
  }

  #socket(address: string): UdpSocket {
    const { openUdp, port } = this.#options;
    const known = this.#sockets.get(address);
    if (known !== undefined) return known;
    const socket = openUdp({ address, port }, (bytes, from) => this.#receive(bytes, from));
    this.#sockets.set(address, socket);
    return socket;
  }
}
