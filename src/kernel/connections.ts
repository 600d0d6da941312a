/** Forgetting connections: of who is gone, so that who has its address or port next is not taken for it. */
import { decodeConnection, deleteConnection, dumpConnections } from './netlink/conntrack.ts';
import type { SocketPool } from './netlink/socket.ts';

/** Those that an address opened or answered, and those translated to it. */
export async function forgetConnections(sockets: SocketPool, address: string): Promise<void> {
  for (const side of ['opened', 'answered'] as const) {
    const found = await sockets.dump(dumpConnections(address, side), (body) => {
      const connection = decodeConnection(body);
      const isIts = connection?.source === address || connection?.answerer === address;
      return isIts ? connection : undefined;
    });
    // One that has ended meanwhile is gone all the same.
    await sockets.ask(found.map(deleteConnection));
  }
}
