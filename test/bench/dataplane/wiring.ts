/** Makes the two ends of a subject. */
import type { Host } from '../../lab/host.ts';
import { toolsImage } from '../../lab/tools-image.ts';
import type { Bed, Pair } from './bed.ts';
import type { Path } from './measures.ts';
import type { Side, Subject } from './subjects.ts';

interface Container {
  /** As its host knows its first process. */
  readonly pid: string;
  readonly netns: string;
}

/** @throws CommandError where a host refuses */
export async function connect(bed: Bed, { name, wiring }: Subject): Promise<Path> {
  switch (wiring.kind) {
    case 'bare': {
      const [client, server] = bed.bare;
      return { client: client.netns, server: server.netns, address: server.address };
    }
    case 'hand-made':
      return connectByHand(bed);
    case 'network': {
      const hosts = bed[wiring.on];
      const client = await attach(hosts[0], name, wiring.create(0));
      const server = await attach(hosts[1], name, wiring.create(1));
      const format = `{{(index .NetworkSettings.Networks "${name}").IPAddress}}`;
      const address = await hosts[1].docker(['inspect', '--format', format, name]);
      return { client: client.netns, server: server.netns, address };
    }
  }
}

async function attach(host: Host, name: string, create: readonly string[] | undefined): Promise<Container> {
  if (create !== undefined) await host.docker(['network', 'create', ...create, name]);
  const command = [toolsImage, 'sleep', 'infinity'];
  await host.docker(['run', '--detach', '--net', name, '--name', name, '--stop-signal', 'KILL', ...command]);
  const pid = await host.docker(['inspect', '--format', '{{.State.Pid}}', name]);
  return { pid, netns: host.path(`/proc/${pid}/ns/net`) };
}

/**
 * The same that a routed network of weft comes to. The containers are on a network of Docker's too, as weft's
 * are: for its name server Docker puts rules into a container, and these cost something.
 */
async function connectByHand({ plain }: Bed): Promise<Path> {
  const addresses: Pair<string> = ['10.75.0.2', '10.75.0.66'];
  const end = async (side: Side): Promise<Container> => {
    const [host, peer] = side === 0 ? plain : [plain[1], plain[0]];
    const container = await attach(host, 'by-hand', ['--driver', 'bridge']);
    const remote = { address: addresses[side === 0 ? 1 : 0], host: peer.address };
    await host.exec(['sh', '-euxc', handWiring(container.pid, addresses[side], remote)]);
    return container;
  };
  const [client, server] = [await end(0), await end(1)];
  return { client: client.netns, server: server.netns, address: addresses[1] };
}

/** The filter's two rules stand where weft puts its own. */
function handWiring(pid: string, address: string, remote: { address: string; host: string }): string {
  return `
    mtu=$(cat /sys/class/net/eth0/mtu)
    ip link add hand0 mtu $mtu type veth peer name hand0c mtu $mtu
    ip link set hand0c netns ${pid}
    ip address add 169.254.1.1/32 dev hand0 scope link
    ip link set hand0 up
    echo 1 >/proc/sys/net/ipv4/conf/hand0/rp_filter
    ip route add ${address}/32 dev hand0 scope link
    ip route add ${remote.address}/32 via ${remote.host} dev eth0
    inside() { nsenter --target ${pid} --net ip "$@"; }
    inside address add ${address}/32 dev hand0c
    inside link set hand0c up
    inside route add 169.254.1.1/32 dev hand0c
    inside route add 10.75.0.0/16 via 169.254.1.1
    iptables -I FORWARD 2 -i hand+ -j ACCEPT
    iptables -I FORWARD 3 -o hand+ -j ACCEPT
  `;
}
