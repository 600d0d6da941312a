/** The cluster that is struck: what must hold of it while it is whole, and traffic to tell what is lost meanwhile. */
import { bothFabrics, clusterUp, createNetwork, startContainer, termsOf } from '../../cluster/cluster.ts';
import { pingsAll } from '../../cluster/reach.ts';
import { pingSteadily } from '../../cluster/steady-ping.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../../lab/wait.ts';

const patienceMs = 120_000;
const pingSeconds = 0.01;

export interface Cluster {
  readonly lab: Lab;
  readonly struck: Host;
  /** Waits until containers of all hosts reach each other, on each network. */
  reachesAll(): Promise<void>;
  /** Waits until the kernels hold again all that they held when nothing had happened yet. */
  holdsAll(): Promise<void>;
  /** Starts new containers, one on each host and network, and waits until they reach all. */
  startsNew(): Promise<void>;
  removesNew(): Promise<void>;
  /** Packets from the host that is struck to the other; ends with how many were lost, by fabric. */
  ping(): { end(): Promise<Readonly<Record<string, number>>> };
}

export async function wholeCluster(resyncMs: number): Promise<Cluster> {
  const lab = await clusterUp({
    name: 'heal',
    hosts: [
      { name: 'h1', docker: '28.5' },
      { name: 'h2', docker: '26.1' },
    ],
    members: 3,
    settings: { WEFT_RESYNC_SECONDS: String(resyncMs / 1_000) },
  });
  try {
    return await inhabited(lab);
  } catch (error) {
    await lab.down();
    throw error;
  }
}

async function inhabited(lab: Lab): Promise<Cluster> {
  const [struck, other] = [lab.host('h1'), lab.host('h2')];
  const networks = await Promise.all(bothFabrics.map((network) => inhabit(lab, network)));
  const pinged = ({ addresses }: (typeof networks)[number]) => addresses[lab.hosts.indexOf(other)] ?? '';
  const everyPlace = lab.hosts.map((host) => networks.map((network) => ({ host, network })));

  async function reachesAll(): Promise<void> {
    await Promise.all(
      everyPlace.flat().map(({ host, network: { name, addresses } }) => {
        return pingsAll(host, name, addresses, patienceMs);
      }),
    );
  }

  async function startsNew(): Promise<void> {
    await Promise.all(
      everyPlace.map(async (places) => {
        for (const { host, network } of places) {
          const next = nextOn(network.name);
          await waitFor(
            `a new container starts on ${network.name} of ${host.name}`,
            async () => {
              await host.docker(['rm', '--force', next]);
              await startContainer(host, network.name, next);
              return true;
            },
            patienceMs,
          );
          await pingsAll(host, next, network.addresses, patienceMs);
        }
      }),
    );
  }

  async function removesNew(): Promise<void> {
    const next = networks.map(({ name }) => nextOn(name));
    await Promise.all(lab.hosts.map((host) => host.docker(['rm', '--force', ...next])));
  }

  await reachesAll();
  await startsNew();
  await removesNew();
  await waitFor('no host encapsulates', async () => {
    return !(await kernelsOf(lab)).some((line) => / via \S+ dev weft-l3/.test(line));
  });
  const held = await kernelsOf(lab);

  return {
    ...{ lab, struck, reachesAll, startsNew, removesNew },

    async holdsAll() {
      await waitFor(
        'the kernels hold what they did',
        async () => {
          const now = new Set(await kernelsOf(lab));
          const missing = held.filter((line) => !now.has(line));
          if (missing.length > 0) throw new Error(`missing: ${missing.slice(0, 5).join('; ')}`);
          return true;
        },
        patienceMs,
      );
    },

    ping() {
      const pinging = networks.map((network) => ({
        fabric: network.fabric,
        ping: pingSteadily(struck, pingerOn(network.name), pinged(network), pingSeconds),
      }));
      return {
        async end() {
          const ended = pinging.map(async ({ fabric, ping }) => [fabric, (await ping.end()).lost.length]);
          return Object.fromEntries(await Promise.all(ended));
        },
      };
    },
  };
}

const nextOn = (network: string) => `next-${network}`;
/** Where a ping goes on and on, and nothing else. */
const pingerOn = (network: string) => `ping-${network}`;

/** Each host gets the network, and a container on it. */
async function inhabit(lab: Lab, network: (typeof bothFabrics)[number]) {
  const { name } = network;
  const addresses: string[] = [];
  for (const [index, host] of lab.hosts.entries()) {
    await createNetwork(host, name, termsOf(network));
    // Docker may start it again, and then it is to be the same.
    const start = (container: string, last: number) => {
      const address = network.subnet.replace('0.0/16', `${index + 1}.${last}`);
      return startContainer(host, name, container, ['--restart', 'always', '--ip', address]);
    };
    addresses.push(await start(name, 3));
    await start(pingerOn(name), 4);
  }
  return { ...network, addresses };
}

/** In whatever order the kernel tells them. */
const script = `
ip route show proto 119
ip neighbour show nud permanent
nft list table inet weft | tr -s ' ,\\t' '\\n'
for n in /run/netns/weft-*; do
  nsenter --net=$n ip neighbour show nud permanent
  nsenter --net=$n bridge fdb show | grep -e 'weft-vx .*dst' -e 'weft-vx master'
  nsenter --net=$n nft list table bridge weft | tr -s ' ,\\t' '\\n'
done
true`;

/** Host's ends of containers' links, which are called anew at each start. */
const hostEnds = /\bweft[0-9a-f]{10}h\b/g;

/** Each host's routes, neighbours, forwarding entries and packet filters. */
async function kernelsOf({ hosts }: Lab): Promise<string[]> {
  const kernels = hosts.map(async (host) => {
    const lines = (await host.exec(['sh', '-c', script])).split('\n');
    return lines.map((line) => `${host.name}: ${line.trim().replaceAll(hostEnds, 'a container')}`);
  });
  return (await Promise.all(kernels)).flat();
}
